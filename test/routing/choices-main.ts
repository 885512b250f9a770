/**
 * `npm run test:choices`: which server Sluice and Pgpool-II (if it is installed) send the statements of the corpus to, against what
 * these statements do on a standby. Ends with 0 when Sluice sends nothing to the standby alone that belongs to the primary, and
 * at least 95 % of the harmless reads to the standby.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PGPOOL, pgpoolVersion } from '../../bench/pgpool.js';
import { findProgram } from '../../bench/poolers.js';
import { readCatalogue } from '../../src/control/routing/read-catalogue.js';
import { PostgresParser } from '../../src/grammar/postgres-parser.js';
import { decideStandby } from '../../src/routing/standby-decision.js';
import { judgeStatement } from '../../src/routing/statement-verdict.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { DATABASE, PostgresServer } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import { BothServers } from './both-servers.js';
import { LOGGING, type Place, placeOf, startPgpool } from './choices.js';
import { CORPUS, CORPUS_SETUP } from './corpus.js';

/** What is known of one statement. */
interface Statement {
  readonly sql: string;
  /** Proved by test/integration/routing-standby.test.ts: a standby answers as the primary does. */
  readonly harmless: boolean;
  /** The SQLSTATE with which a standby refuses it; null: it answers. */
  readonly refusal: string | null;
}

/** Below that, a router leaves the standby idle. */
const LEAST_SHARE = 0.95;

const { values } = parseArgs({ options: { verbose: { type: 'boolean', default: false } } });

async function learn(primary: PostgresServer, standby: PostgresServer): Promise<Statement[]> {
  const { catalogue, searchPath } = await readCatalogue(primary.url(), 30_000);
  const parser = await PostgresParser.open();
  const both = new BothServers(primary, standby, DATABASE);
  const statements: Statement[] = [];
  for (const sql of CORPUS) {
    const text = Buffer.from(sql);
    const verdict = judgeStatement(parser.parse(text, 0, text.length));
    const harmless = decideStandby(verdict, catalogue, searchPath).mayRunOnStandby;
    const { standby: answer } = await both.compareInVain(sql);
    statements.push({ sql, harmless, refusal: answer.sqlstate });
  }
  await both.end();
  return statements;
}

async function startSluice(primary: PostgresServer, standby: PostgresServer): Promise<GatewayUnderTest> {
  const file = join(scratchFolder('choices'), 'sluice.yaml');
  const nodes = [standby, primary].map(({ host, port }) => `${host}:${port}`).join(', ');
  const database = `{ nodes: ['${nodes.replace(', ', "', '")}'], consistency: eventual }`;
  writeFileSync(file, `databases:\n  ${DATABASE}: ${database}\npool_mode: transaction\n`);
  return GatewayUnderTest.start({ io: availableDrivers[0]!, server: [], file });
}

/** Sluice learns of a shape when it comes, and of functions and relations when the database's first client does. */
async function learnt(sql: string, look: (sql: string) => Promise<Place>): Promise<Place> {
  await look(sql);
  return look(sql);
}

/** @returns whether the router does no harm, and uses the standby */
async function tell(
  name: string,
  statements: readonly Statement[],
  choose: (sql: string) => Promise<Place>,
): Promise<boolean> {
  const places = new Map<string, Place>();
  for (const { sql } of statements) places.set(sql, await choose(sql));
  const on = (place: Place) => (one: Statement) => places.get(one.sql) === place;
  const harmless = statements.filter((one) => one.harmless);
  const others = statements.filter((one) => !one.harmless);
  const used = harmless.filter(on('standby'));
  const wrong = others.filter(on('standby'));
  const refused = wrong.filter(({ refusal }) => refusal !== null);
  console.log(`\n${name}`);
  console.log(`  of ${harmless.length} harmless reads ${used.length} to the standby`);
  console.log(
    `  of ${others.length} others ${others.filter(on('primary')).length} to the primary, ` +
      `${others.filter(on('both')).length} to both, ${others.filter(on('neither')).length} answered by itself`,
  );
  console.log(
    `  ${wrong.length} others to the standby alone: ${refused.length} are refused there, ` +
      `${wrong.length - refused.length} are answered with what the primary would not say`,
  );
  for (const { sql, refusal } of wrong)
    console.log(`    standby${refusal === null ? '' : ` (${refusal})`}: ${sql}`);
  if (values.verbose) {
    for (const one of harmless.filter((one) => !used.includes(one))) {
      console.log(`    needlessly ${places.get(one.sql)}: ${one.sql}`);
    }
  }
  return wrong.length === 0 && used.length >= LEAST_SHARE * harmless.length;
}

async function main(): Promise<number> {
  const primary = await PostgresServer.start({ settings: LOGGING });
  let standby: PostgresServer | undefined;
  let gateway: GatewayUnderTest | undefined;
  try {
    await primary.query(CORPUS_SETUP);
    standby = await primary.startStandby();
    const second = standby;
    await primary.query("SELECT nextval('numbers'), setval('numbers', 100), nextval('numbers')");
    await primary.replayedBy(standby);
    const statements = await learn(primary, standby);
    // Each statement is to find what the ones before it found, so none may write.
    await primary.query('ALTER SYSTEM SET default_transaction_read_only = on');
    await primary.query('SELECT pg_reload_conf()');
    gateway = await startSluice(primary, standby);
    const { port } = gateway;
    console.log(`${statements.length} statements`);
    const look = (sql: string): Promise<Place> => placeOf(sql, port, primary, second);
    await until('reads to go to the standby', async () => (await look('SELECT 1')) === 'standby');
    const good = await tell('Sluice', statements, (sql) => learnt(sql, look));
    const program = findProgram('pgpool');
    if (program === null) console.log(`\n${PGPOOL} is not installed`);
    else {
      const other = await startPgpool(program, primary, standby);
      await tell(await pgpoolVersion(program), statements, (sql) => placeOf(sql, other, primary, second));
    }
    return good ? 0 : 1;
  } finally {
    await gateway?.stop();
    await standby?.discard();
    await primary.discard();
  }
}

try {
  process.exit(await main());
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exit(2);
}
