/**
 * `npm run test:routing -- CHECKOUT`: the statements of PostgreSQL's regression tests, judged, and those that may run on a
 * standby run there and on the primary. What a standby refuses or answers in another way is a mistake of the judgement.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { createStepProgress } from '../../src/cli/step-progress.js';
import { readCatalogue } from '../../src/control/routing/read-catalogue.js';
import { PostgresParser } from '../../src/grammar/postgres-parser.js';
import { decideStandby } from '../../src/routing/standby-decision.js';
import { StatementJudge } from '../../src/routing/statement-judge.js';
import { judgeStatement } from '../../src/routing/statement-verdict.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { handOver } from '../harness/process-group.js';
import { prepare, type ReadyCheckout } from '../postgres/checkout.js';
import { suites } from '../postgres/suites.js';
import { BothServers, type Comparison } from './both-servers.js';
import { statementsOf } from './psql-script.js';

const HELP = `
CHECKOUT is an unpacked source tree of PostgreSQL, as for "npm run test:postgres". Its regression tests make a database on
a primary; a standby is copied from it; then every statement of the tests is judged with that database's catalogue. The
judgements, one JSON object a line, are left in the folder --work.

Ends with 0 when all statements that may run on a standby gave there what they gave on the primary, and the shape of none
says more than the statement itself; else with 1.`;

/** Statements that wait, or whose answer is another one for each server by their own doing. */
const LEFT_OUT = /pg_sleep|pg_stat_file|pg_ls_dir/i;

const SERVER_SETTINGS = { max_connections: 100, max_prepared_transactions: 2, shared_buffers: '128MB' };

/** What was found out about one statement. */
interface Judged {
  readonly file: string;
  readonly sql: string;
  readonly kind: string;
  readonly mayRunOnStandby: boolean;
  readonly reason: string;
  readonly comparison: Comparison | null;
  /** What was said of its shape before says otherwise. */
  readonly contradicted: boolean;
}

const progress = createStepProgress(process.stderr);

async function makeDatabase(checkout: ReadyCheckout, primary: PostgresServer, work: string): Promise<void> {
  const folder = join(work, 'regress');
  mkdirSync(folder, { recursive: true });
  handOver(folder);
  let done = 0;
  progress.begin('running the regression tests on the primary');
  await suites.regress.run({
    checkout,
    port: primary.port,
    folder,
    tests: [],
    limitMs: 1_200_000,
    testLimitMs: 120_000,
    stepLimitMs: 20_000,
    outcome: () => {
      done += 1;
      progress.detail(`${done} done`);
    },
  });
  progress.end(`ran ${done} regression tests on the primary`);
}

async function judgeAll(
  checkout: ReadyCheckout,
  primary: PostgresServer,
  standby: PostgresServer,
): Promise<Judged[]> {
  const { database } = suites.regress;
  const { catalogue, searchPath } = await readCatalogue(primary.url(undefined, database), 60_000);
  const parser = await PostgresParser.open();
  const judge = new StatementJudge(parser, [1, 2], 100_000);
  const scripts = join(checkout.tree, 'src/test/regress/sql');
  const judged: Judged[] = [];
  for (const file of readdirSync(scripts).sort()) {
    const both = new BothServers(primary, standby, database);
    progress.begin(`judging and running ${file}`);
    for (const sql of statementsOf(readFileSync(join(scripts, file), 'utf8'))) {
      const text = Buffer.from(sql);
      const verdict = judgeStatement(parser.parse(text, 0, text.length));
      const { mayRunOnStandby, reason } = decideStandby(verdict, catalogue, searchPath);
      const byShape = decideStandby(judge.judge(text, 0, text.length, true).verdict, catalogue, searchPath);
      const contradicted = byShape.mayRunOnStandby && !mayRunOnStandby;
      const runs = mayRunOnStandby && verdict.copy === null && !LEFT_OUT.test(sql);
      const comparison = runs ? await both.compare(sql) : null;
      judged.push({ file, sql, kind: verdict.kind, mayRunOnStandby, reason, comparison, contradicted });
    }
    await both.end();
  }
  progress.end(`judged ${judged.length} statements`);
  return judged;
}

function tell(judged: readonly Judged[]): number {
  const count = (choose: (one: Judged) => boolean): number => judged.filter(choose).length;
  const outcome = (wanted: string): number => count(({ comparison }) => comparison?.outcome === wanted);
  console.log(
    `${judged.length} statements, ${count(({ kind }) => kind === 'read')} of them reads by their form`,
  );
  console.log(`${count(({ mayRunOnStandby }) => mayRunOnStandby)} may run on a standby: there`);
  console.log(`  ${outcome('same')} gave the same rows, ${outcome('same-error')} the same error,`);
  console.log(
    `  ${outcome('unsteady')} something else each time, ${outcome('different')} something else than the primary`,
  );
  const different = judged.filter(({ comparison }) => comparison?.outcome === 'different');
  for (const { file, sql, comparison } of different) {
    console.log(`\n${file}: ${sql}`);
    console.log(
      `  primary: ${comparison?.primary.sqlstate ?? 'rows'} ${comparison?.primary.text.slice(0, 300)}`,
    );
    console.log(
      `  standby: ${comparison?.standby.sqlstate ?? 'rows'} ${comparison?.standby.text.slice(0, 300)}`,
    );
  }
  const contradicted = judged.filter((one) => one.contradicted);
  for (const { file, sql } of contradicted)
    console.log(`\n${file}: another of this shape may run there: ${sql}`);
  return different.length + contradicted.length;
}

async function main(source: string, work: string, bindir: string | undefined): Promise<number> {
  mkdirSync(work, { recursive: true });
  const checkout = await prepare(resolve(source), work, bindir, progress);
  process.env.SLUICE_TEST_PGBIN = checkout.programs;
  const primary = await PostgresServer.start({ settings: SERVER_SETTINGS });
  let standby: PostgresServer | undefined;
  try {
    await makeDatabase(checkout, primary, work);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
    const judged = await judgeAll(checkout, primary, standby);
    writeFileSync(join(work, 'judged.jsonl'), judged.map((one) => `${JSON.stringify(one)}\n`).join(''));
    return tell(judged) === 0 ? 0 : 1;
  } finally {
    await standby?.discard();
    await primary.discard();
  }
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'routing-'));
  chmodSync(folder, 0o755);
  return folder;
}

const command = new Command('test:routing')
  .description("Judges the statements of PostgreSQL's regression tests, and runs the reads on a standby.")
  .argument('<checkout>', 'source tree of PostgreSQL')
  .option('--work <folder>', 'where to build and to leave results; used again by the next run')
  .option('--bindir <folder>', 'folder of postgres, initdb and psql')
  .addHelpText('after', HELP)
  .parse();
const { work, bindir } = command.opts<{ work?: string; bindir?: string }>();
try {
  process.exitCode = await main(command.args[0]!, resolve(work ?? newFolder()), bindir);
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exitCode = 2;
} finally {
  progress.close();
}
