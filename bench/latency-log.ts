/**
 * pgbench's per-transaction log (`pgbench --log`; PostgreSQL documentation, pgbench, "Per-Transaction Logging"):
 *
 *     client_id transaction_no time script_no time_epoch time_us [ schedule_lag ] [ retries ]
 *
 * where `time` is the transaction's duration in us, or the word `failed` or `skipped`.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { percentile } from './statistics.js';

/** Latencies of one run, in ms; NaN where the log held no transaction. */
export interface Latencies {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Appends the durations (us) in one log file's text to `into`. Failed, skipped and torn lines are left out. */
export function collectDurations(text: string, into: number[]): void {
  for (const line of text.split('\n')) {
    const afterClient = line.indexOf(' ');
    const afterNumber = line.indexOf(' ', afterClient + 1);
    const afterTime = line.indexOf(' ', afterNumber + 1);
    if (afterClient < 1 || afterNumber < 0 || afterTime < 0) continue;
    const word = line.slice(afterNumber + 1, afterTime);
    if (/^\d+$/.test(word)) into.push(Number(word));
  }
}

/** The percentiles of durations in us. */
export function latenciesOf(durationsUs: readonly number[]): Latencies {
  const sorted = Float64Array.from(durationsUs).sort();
  return {
    samples: sorted.length,
    p50Ms: percentile(sorted, 0.5) / 1000,
    p99Ms: percentile(sorted, 0.99) / 1000,
  };
}

/** Reads every log file in `folder` (pgbench writes one a thread). */
export async function readLatencyLogs(folder: string): Promise<Latencies> {
  const durations: number[] = [];
  for (const name of await readdir(folder)) {
    collectDurations(await readFile(join(folder, name), 'latin1'), durations);
  }
  return latenciesOf(durations);
}
