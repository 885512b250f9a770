/**
 * `npm run bench`: starts everything, measures part by part, prints tables, writes them down, cleans up.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseServerUser } from '../src/agent/server-user.js';
import { makeCertificate } from './certificate.js';
import { stopAll } from './child-process.js';
import { loadPerCore } from './machine.js';
import { type BenchOptions, readOptions } from './options.js';
import { estimateSeconds, type Figures, measure } from './parts.js';
import {
  type Contender,
  DIRECT,
  directTarget,
  findPgBouncer,
  PGBOUNCER,
  pgBouncerVersion,
  type Surroundings,
  sluiceName,
  startPgBouncer,
  startSluice,
} from './poolers.js';
import { findBinaries, startPostgres } from './postgres-under-test.js';
import { Progress } from './progress.js';
import { renderReport, tablesOf, writeReport } from './results-file.js';
import { measureRouting, routingSeconds } from './routing.js';
import { routingTables } from './routing-report.js';
import { renderText, type Table } from './table.js';

/** Tasks per core, above which a comparison says more about the others than about the poolers. */
const BUSY_LOAD = 0.3;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Which poolers there are, and sentences about those that there are not. */
async function findContenders(
  options: BenchOptions,
  pgbouncer: string | null,
  around: Surroundings,
): Promise<{ contenders: Contender[]; remarks: string[] }> {
  const contenders: Contender[] = [{ name: DIRECT, start: async () => directTarget(around.postgres) }];
  const remarks: string[] = [];
  if (pgbouncer === null) {
    remarks.push(
      `${PGBOUNCER} is not installed, so there are no ratios (apt-get install pgbouncer, or --pgbouncer PATH).`,
    );
  } else {
    contenders.push({ name: PGBOUNCER, start: () => startPgBouncer(pgbouncer, around) });
  }
  const failures: Error[] = [];
  const also = options.also === null ? [null] : [null, options.also];
  for (const [driver, setting] of options.drivers.flatMap((name) => also.map((it) => [name, it] as const))) {
    const name = sluiceName(driver, setting);
    const contender = { name, start: () => startSluice(driver, around, setting) };
    try {
      await (await contender.start()).stop();
      contenders.push(contender);
    } catch (error) {
      failures.push(error as Error);
      remarks.push(`${name} does not run here, and is left out.`);
    }
  }
  const nothingRuns = failures.length === options.drivers.length * also.length;
  if (failures.length > 0 && (options.driversAsked || nothingRuns)) throw failures[0]!;
  for (const failure of failures) say(failure.message);
  return { contenders, remarks };
}

/** What a group of parts gave. */
interface Outcome {
  readonly tables: readonly Table[];
  readonly versions: readonly string[];
  readonly remarks: readonly string[];
}

type Around = Omit<Surroundings, 'postgres'>;

async function benchPoolers(options: BenchOptions, around: Around, binaries: string): Promise<Outcome> {
  const pgbouncer = await findPgBouncer(options.pgbouncer);
  const { folder, account } = around;
  say(`Starting a PostgreSQL of its own, with ${options.scale * 100_000} rows ...`);
  const postgres = await startPostgres(folder, binaries, account, options.scale);
  const { contenders, remarks } = await findContenders(options, pgbouncer, { ...around, postgres });
  for (const remark of remarks) say(remark);
  const progress = new Progress(estimateSeconds(options, contenders));
  progress.line(`measuring ${contenders.map((contender) => contender.name).join(', ')}`);
  const figures: Figures = await measure(options, postgres, contenders, join(folder, 'logs'), progress);
  await postgres.stop();
  const versions = [
    postgres.version,
    pgbouncer === null ? `${PGBOUNCER}: none` : await pgBouncerVersion(pgbouncer),
  ];
  return { tables: tablesOf(options, figures), versions, remarks };
}

async function benchRouting(options: BenchOptions, around: Around, binaries: string): Promise<Outcome> {
  const progress = new Progress(routingSeconds(options));
  const figures = await measureRouting(options, around, binaries, progress);
  return { ...figures, tables: routingTables(figures) };
}

async function bench(options: BenchOptions, folder: string): Promise<void> {
  const load = loadPerCore();
  const binaries = await findBinaries(options.postgres);
  const account = await chooseServerUser(join(folder, 'postgres', 'data'));
  const certificate = options.tls === null ? null : await makeCertificate(folder, options.tls);
  const around: Around = { serverWay: options.serverWay, account, folder, certificate };
  const outcomes: Outcome[] = [];
  if (options.parts.some((part) => part !== 'routing')) {
    outcomes.push(await benchPoolers(options, around, binaries));
  }
  if (options.parts.includes('routing')) outcomes.push(await benchRouting(options, around, binaries));
  const tables = outcomes.flatMap((outcome) => outcome.tables);
  process.stdout.write(`\n${tables.map(renderText).join('\n')}`);
  const versions = [...new Set(outcomes.flatMap((outcome) => outcome.versions))];
  const remarks = outcomes.flatMap((outcome) => outcome.remarks);
  if (load > BUSY_LOAD) {
    remarks.push(
      `The machine was busy with other work (load ${load.toFixed(1)} per core at the start): trust no figure without repeating it.`,
    );
  }
  const written = await writeReport(options, await renderReport(options, versions, remarks, tables));
  if (written !== null) say(`\nWritten to ${written}`);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (process.platform !== 'linux')
    throw new Error("The benchmark reads Linux's /proc, so it runs on Linux alone.");
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  await chmod(folder, 0o755); // when root runs this, PostgreSQL and PgBouncer run as somebody else
  const cleanUp = async (): Promise<void> => {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say('\nInterrupted: stopping what was started ...');
      cleanUp().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  try {
    await bench(options, folder);
  } finally {
    await cleanUp();
  }
}

main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
