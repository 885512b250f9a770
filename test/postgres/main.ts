/**
 * `npm run test:postgres -- CHECKOUT`: PostgreSQL's own suites, run directly and through Sluice, in session mode and in
 * transaction mode, and through PgBouncer if there is one. `--help` says more.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createStepProgress } from '../../src/cli/step-progress.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { handOver } from '../harness/process-group.js';
import { prepare, type ReadyCheckout } from './checkout.js';
import { EXPECTED_FAILURES } from './expected-failures.js';
import { Neighbours } from './neighbours.js';
import { readOptions } from './options.js';
import { openRouted } from './routed-target.js';
import { type SuiteName, type SuiteResult, suites } from './suites.js';
import { openTarget, type Route, routeName, SERVER_CONNECTIONS_MAX } from './targets.js';
import { judge, type Verdict } from './verdict.js';

/** What pg_regress gives a server of its own. */
const SERVER_SETTINGS = {
  autovacuum: 'on',
  log_lock_waits: 'on',
  max_connections: SERVER_CONNECTIONS_MAX,
  max_prepared_transactions: 2,
  shared_buffers: '128MB',
};

const options = readOptions(process.argv.slice(2));
const progress = createStepProgress(process.stderr);

function routes(): Route[] {
  const own = options.modes.map((mode): Route => ({ mode, pooler: mode === 'direct' ? null : 'Sluice' }));
  if (options.pgbouncer === undefined) return own;
  const pooled = options.modes.filter((mode) => mode !== 'direct' && mode !== 'routing');
  return [...own, ...pooled.map((mode): Route => ({ mode, pooler: 'PgBouncer' }))];
}

function emptyFolder(...names: string[]): string {
  const folder = join(...names);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  handOver(folder);
  return folder;
}

/** @returns the result, and what else was wrong, a line each */
async function runSuite(
  name: SuiteName,
  route: Route,
  checkout: ReadyCheckout,
  folder: string,
): Promise<{ result: SuiteResult; trouble: string[] }> {
  progress.begin(`${name}, ${routeName(route)}`);
  const server = await PostgresServer.start({ settings: SERVER_SETTINGS });
  const target =
    route.mode === 'routing'
      ? await openRouted(server, folder, suites[name].database)
      : await openTarget(route, server, folder, options.pgbouncer);
  const neighbours =
    (route.mode === 'transaction' || route.mode === 'routing') && options.neighbours
      ? new Neighbours(target.port, suites[name].database, server)
      : null;
  const trouble: string[] = [];
  let done = 0;
  let failed = 0;
  try {
    const result = await suites[name].run({
      checkout,
      port: target.port,
      folder,
      tests: options.tests,
      limitMs: options.limitSeconds * 1000,
      testLimitMs: options.testLimitSeconds * 1000,
      stepLimitMs: (options.stepLimitSeconds ?? (route.mode === 'transaction' ? 1 : 20)) * 1000,
      outcome: ({ test, passed }) => {
        done += 1;
        if (!passed) failed += 1;
        progress.detail(`${done} done, ${failed} failed, last ${test}`);
      },
    });
    return { result, trouble };
  } finally {
    const counts = await neighbours?.stop();
    if (counts !== undefined && counts.wrong > 0) {
      trouble.push(`neighbours saw settings of others ${counts.wrong} times of ${counts.asked}`);
    }
    const failure = await target.stop();
    if (failure !== null) trouble.push(failure);
    writeFileSync(join(folder, 'server.log'), server.log);
    await server.discard();
  }
}

function tell(verdict: Verdict, { details }: SuiteResult, trouble: readonly string[]): void {
  progress.end(verdict.summary);
  for (const line of [...verdict.differences, ...trouble]) console.log(`    ${line}`);
  if (details !== null) console.log(`    see ${details}`);
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postgres-suites-'));
  chmodSync(folder, 0o755);
  return folder;
}

async function main(): Promise<number> {
  const work = resolve(options.work ?? newFolder());
  mkdirSync(work, { recursive: true });
  const checkout = await prepare(resolve(options.checkout), work, options.bindir, progress);
  process.env.SLUICE_TEST_PGBIN = checkout.programs;
  const summaries: string[] = [];
  let asExpected = true;
  for (const name of options.suites) {
    for (const route of routes()) {
      const folder = emptyFolder(work, 'results', `${name}-${routeName(route).replaceAll(/\W+/g, '-')}`);
      const { result, trouble } = await runSuite(name, route, checkout, folder);
      const verdict = judge(name, route, result, EXPECTED_FAILURES);
      tell(verdict, result, trouble);
      summaries.push(verdict.summary);
      if (!verdict.asExpected || (trouble.length > 0 && route.pooler === 'Sluice')) asExpected = false;
    }
  }
  console.log(`\nPostgreSQL ${checkout.version}:\n${summaries.join('\n')}`);
  console.log(asExpected ? 'as expected' : 'NOT as expected');
  if (options.work === undefined && asExpected) rmSync(work, { recursive: true, force: true });
  return asExpected ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(2));
try {
  process.exitCode = await main();
} catch (error) {
  progress.close();
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
