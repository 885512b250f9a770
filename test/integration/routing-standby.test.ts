/** What routing says of a corpus of statements, against what a primary and its standby really answer. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readCatalogue } from '../../src/control/routing/read-catalogue.js';
import { PostgresParser } from '../../src/grammar/postgres-parser.js';
import { builtinFunctionTrouble, HARMLESS_VOLATILE_FUNCTIONS } from '../../src/routing/node-functions.js';
import { decideStandby } from '../../src/routing/standby-decision.js';
import { judgeStatement } from '../../src/routing/statement-verdict.js';
import { DATABASE, PostgresServer } from '../harness/postgres-server.js';
import { BothServers } from '../routing/both-servers.js';
import { CORPUS, CORPUS_SETUP } from '../routing/corpus.js';
import { functionCalls } from '../routing/function-calls.js';

/**
 * Statements that the standby answered as the primary did, because nothing had been counted yet, or because the answer is
 * the same where the effect isn't: a lock, a setting, a file is there on one server only.
 */
const ALIKE_BY_CHANCE =
  /pg_stat_|pg_last_xact_replay_timestamp|pg_control_|pg_replication_slots|snapshot|advisory|set_config|PROGRAM|^UNLISTEN|^MERGE|^CALL/;

describe('statements on a primary and on its standby', () => {
  let primary: PostgresServer;
  let standby: PostgresServer | undefined;
  let both: BothServers | undefined;
  /** Why a statement must go to the primary; null: it may run on a standby. */
  const reasons = new Map<string, string | null>();
  before(async () => {
    primary = await PostgresServer.start();
    await primary.query(CORPUS_SETUP);
    standby = await primary.startStandby();
    // What was logged in advance for it shows on the standby.
    await primary.query("SELECT nextval('numbers'), setval('numbers', 100), nextval('numbers')");
    await primary.replayedBy(standby);
    both = new BothServers(primary, standby, DATABASE);
    const { catalogue, searchPath } = await readCatalogue(primary.url(), 30_000);
    const parser = await PostgresParser.open();
    for (const sql of CORPUS) {
      const text = Buffer.from(sql);
      const verdict = judgeStatement(parser.parse(text, 0, text.length));
      const { mayRunOnStandby, reason } = decideStandby(verdict, catalogue, searchPath);
      reasons.set(sql, mayRunOnStandby ? null : reason);
    }
  });
  after(async () => {
    await both?.end();
    await standby?.discard();
    await primary.discard();
  });

  test('there are enough of them', () => {
    assert.ok(reasons.size >= 400, `only ${reasons.size}`);
  });

  test('what may run on a standby gives there what it gives on the primary', async () => {
    for (const [sql, reason] of reasons) {
      if (reason !== null) continue;
      const comparison = await both!.compare(sql);
      assert.ok(
        ['same', 'same-error', 'unsteady'].includes(comparison.outcome),
        `${sql}: ${JSON.stringify(comparison)}`,
      );
    }
  });

  test("PostgreSQL's own functions that may be called there say there what they say on the primary", async () => {
    const calls = await functionCalls(primary);
    const allowed = calls.filter(
      ({ name }) => builtinFunctionTrouble(name) === null && !name.startsWith('pg_sleep'),
    );
    assert.ok(allowed.length > 500, `only ${allowed.length} calls`);
    for (const { name, sql } of allowed) {
      const { outcome, ...answers } = await both!.compare(sql);
      // Those that draw lots answer at all.
      const alike = HARMLESS_VOLATILE_FUNCTIONS.includes(name)
        ? answers.standby.sqlstate === answers.primary.sqlstate
        : outcome !== 'different';
      assert.ok(alike, `${sql}: ${JSON.stringify(answers)}`);
    }
  });

  test('what may not is refused there or answered in another way', async () => {
    const needless: string[] = [];
    for (const [sql, reason] of reasons) {
      if (reason === null) continue;
      const truth = await both!.compareInVain(sql);
      if (truth.outcome === 'same' && !ALIKE_BY_CHANCE.test(sql)) needless.push(`${sql} (${reason})`);
    }
    assert.deepEqual(needless, []);
  });
});
