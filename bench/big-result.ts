/**
 * One big result: how fast it passes, what it costs the pooler, and what happens in the pooler's memory when the
 * client that asked for it stops reading.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuTime, residentBytes } from './cpu-time.js';
import type { Target } from './poolers.js';
import { RawClient } from './raw-client.js';

/** One transfer. Sizes in decimal units, as throughput usually is. */
export interface Transfer {
  readonly megabytesPerSecond: number;
  /** CPU time of the pooler per GB, in ms; null without a pooler. */
  readonly userMsPerGigabyte: number | null;
  readonly systemMsPerGigabyte: number | null;
}

const READ_BUFFER_BYTES = 1 << 20;
/** CopyData header, 1,000 characters and a line feed. */
const ROW_BYTES = 1006;

/** A query that gives `gigabytes` in rows of 1 kB, produced as they are sent. */
export function bigResultQuery(gigabytes: number): string {
  const rows = Math.round((gigabytes * 1e9) / ROW_BYTES);
  return `COPY (SELECT repeat('x', 1000) FROM (SELECT generate_series(1, ${rows})) AS row) TO STDOUT`;
}

/** Reads a whole big result and throws it away. */
export async function measureTransfer(target: Target, gigabytes: number): Promise<Transfer> {
  const client = new RawClient(target.port, READ_BUFFER_BYTES);
  try {
    await client.logIn();
    await client.query('SELECT 1');
    const before = target.pid === null ? null : await cpuTime(target.pid);
    const alreadyReceived = client.received;
    const started = performance.now();
    await client.query(bigResultQuery(gigabytes));
    const seconds = (performance.now() - started) / 1000;
    const bytes = client.received - alreadyReceived;
    if (bytes < gigabytes * 0.99e9) throw new Error(`${target.name} gave only ${bytes} bytes of the result`);
    const after = target.pid === null ? null : await cpuTime(target.pid);
    const measured = before !== null && after !== null;
    return {
      megabytesPerSecond: bytes / 1e6 / seconds,
      userMsPerGigabyte: measured ? (after.userMs - before.userMs) / (bytes / 1e9) : null,
      systemMsPerGigabyte: measured ? (after.systemMs - before.systemMs) / (bytes / 1e9) : null,
    };
  } catch (error) {
    throw target.failure() ?? error;
  } finally {
    client.close();
  }
}

const SAMPLE_MS = 200;

/** By how much the pooler's resident memory grew at most while the reader stood still for `seconds`, in bytes. */
export async function measureStall(target: Target, gigabytes: number, seconds: number): Promise<number> {
  if (target.pid === null) throw new Error(`${target.name} is not a pooler`);
  const client = new RawClient(target.port, READ_BUFFER_BYTES);
  try {
    await client.logIn();
    await client.query('SELECT 1');
    await sleep(1000);
    const base = await residentBytes(target.pid);
    client.stall(bigResultQuery(gigabytes));
    let peak = base;
    for (let passed = 0; passed < seconds * 1000; passed += SAMPLE_MS) {
      await sleep(SAMPLE_MS);
      peak = Math.max(peak, await residentBytes(target.pid));
    }
    return peak - base;
  } catch (error) {
    throw target.failure() ?? error;
  } finally {
    client.close();
  }
}
