/**
 * One run of pgbench against one target, with the CPU time that the target's process used meanwhile.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './child-process.js';
import { type CpuTime, cpuTimeOfTree } from './cpu-time.js';
import { readLatencyLogs } from './latency-log.js';
import type { Target } from './poolers.js';
import { DATABASE, type PostgresUnderTest, USER } from './postgres-under-test.js';

/** pgbench's `--protocol`. */
export type QueryMode = 'simple' | 'extended' | 'prepared';
export const QUERY_MODES: readonly QueryMode[] = ['simple', 'extended', 'prepared'];

export interface Workload {
  readonly mode: QueryMode;
  readonly clients: number;
  readonly seconds: number;
  /** A new connection for every transaction. */
  readonly reconnects?: boolean;
  /** What is run; pgbench -S unless given. */
  readonly script?: Script;
}

/** What pgbench runs. */
export interface Script {
  /** As reports call it. */
  readonly name: string;
  /** pgbench's arguments. */
  readonly arguments: readonly string[];
}

const SELECT_ONLY: Script = { name: 'pgbench -S', arguments: ['-S'] };

/** What one run gave. */
export interface RunResult {
  readonly transactions: number;
  /** Transactions a second, without the time that connecting took (with it where every transaction connects). */
  readonly tps: number;
  readonly averageMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the pooler per transaction, in us; null without a pooler. */
  readonly userUs: number | null;
  readonly systemUs: number | null;
  /** Failed transactions, and clients that gave up. */
  readonly errors: number;
  /** The first thing that pgbench complained about; empty if nothing. */
  readonly complaint: string;
}

/** The figures in pgbench's report; null where it has none, as when no transaction was done. */
export interface PgbenchReport {
  readonly transactions: number;
  readonly failed: number;
  readonly averageMs: number | null;
  readonly tps: number | null;
}

function numberAfter(text: string, pattern: RegExp): number | null {
  const match = pattern.exec(text);
  return match === null ? null : Number(match[1]);
}

/** Reads what pgbench prints at its end (PostgreSQL 13 and newer). */
export function parseReport(stdout: string): PgbenchReport {
  return {
    transactions: numberAfter(stdout, /^number of transactions actually processed: (\d+)/m) ?? 0,
    failed: numberAfter(stdout, /^number of failed transactions: (\d+)/m) ?? 0,
    averageMs: numberAfter(stdout, /^latency average = ([\d.]+) ms/m),
    tps: numberAfter(
      stdout,
      /^tps = ([\d.]+) \((?:without initial connection|including reconnection|excluding connections)/m,
    ),
  };
}

/** How many clients pgbench's standard error says have given up. */
export function countAborts(stderr: string): number {
  return stderr.match(/client \d+ (script \d+ )?aborted/g)?.length ?? 0;
}

/** Every run's log stays at some ten thousand lines: writing more would disturb what is measured. */
function samplingRate(clients: number): string {
  return clients === 1 ? '0.5' : '0.1';
}

/** Null: there is no pooler. */
async function cpuTimeOf({ pid, behind }: Target): Promise<CpuTime | null> {
  if (pid === null) return null;
  const own = await cpuTimeOfTree(pid);
  const more = behind === undefined ? null : await cpuTimeOf(behind);
  if (more === null) return own;
  return { userMs: own.userMs + more.userMs, systemMs: own.systemMs + more.systemMs };
}

/** Runs pgbench. A target that answers with errors gives a result that says so; a dead one throws. */
export async function runPgbench(
  postgres: PostgresUnderTest,
  target: Target,
  workload: Workload,
  folder: string,
): Promise<RunResult> {
  await mkdir(folder, { recursive: true });
  const logs = await mkdtemp(join(folder, 'log-'));
  const { clients } = workload;
  const args = [
    ...['-h', '127.0.0.1', '-p', String(target.port), '-U', USER],
    ...[
      '-n',
      ...(workload.script ?? SELECT_ONLY).arguments,
      '-M',
      workload.mode,
      '-c',
      String(clients),
      '-j',
      String(Math.min(2, clients)),
    ],
    ...['-T', String(workload.seconds)],
    ...(workload.reconnects ? ['-C'] : []),
    ...['--log', `--log-prefix=${join(logs, 'pgbench')}`, `--sampling-rate=${samplingRate(clients)}`],
    DATABASE,
  ];
  try {
    const before = await cpuTimeOf(target);
    const env = { PGSSLMODE: target.tls ? 'require' : 'disable' };
    const { exitCode, stdout, stderr } = await run(join(postgres.binaries, 'pgbench'), args, { env });
    const died = target.failure();
    if (died !== null) throw died;
    const after = await cpuTimeOf(target);
    const report = parseReport(stdout);
    const latencies = await readLatencyLogs(logs);
    const perTransactionUs = (ms: number): number => (ms * 1000) / report.transactions;
    const measured = before !== null && after !== null && report.transactions > 0;
    const errors = report.failed + countAborts(stderr);
    return {
      transactions: report.transactions,
      tps: report.tps ?? 0,
      averageMs: report.averageMs ?? Number.NaN,
      p50Ms: latencies.p50Ms,
      p99Ms: latencies.p99Ms,
      userUs: measured ? perTransactionUs(after.userMs - before.userMs) : null,
      systemUs: measured ? perTransactionUs(after.systemMs - before.systemMs) : null,
      errors: errors === 0 && exitCode !== 0 ? 1 : errors,
      complaint: exitCode === 0 && errors === 0 ? '' : (/error: .*/.exec(stderr)?.[0] ?? stderr.trim()),
    };
  } finally {
    await rm(logs, { recursive: true, force: true });
  }
}
