import { setTimeout as pause } from 'node:timers/promises';

/** How long a condition is waited for, in ms, where a test says nothing else. Only a failing test waits so long. */
const PATIENCE_MS = 15_000;
const POLL_MS = 20;

/**
 * Waits for a condition: asks again and again until the answer is neither false nor null nor undefined.
 * Throws when that has not come true in time, with `what` in the message.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  patienceMs: number = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + patienceMs;
  let last: unknown;
  for (;;) {
    const answer = await condition();
    if (answer !== false && answer !== null && answer !== undefined) return answer as NonNullable<T>;
    last = answer;
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs} ms for ${what} (last: ${last})`);
    await pause(POLL_MS);
  }
}

/** Fails a promise that takes too long. The promise itself can't be stopped. */
export async function within<T>(what: string, limitMs: number, promise: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = pause(limitMs, undefined, { signal: stop.signal, ref: true }).then(() => {
    throw new Error(`${what} took more than ${limitMs} ms`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}
