/** What a process holds, after everything that is only for a moment has been let go (Linux). */
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { GatewayUnderTest } from '../harness/gateway-under-test.js';

export interface Resources {
  readonly residentBytes: number;
  readonly descriptors: number;
}

const POLL_MS = 200;
/** So long nothing may change before it counts as settled. */
const QUIET_MS = 2000;
/** Longer than any time after which the gateway lets go of something. */
const PATIENCE_MS = 25_000;

function descriptorsOf(gateway: GatewayUnderTest): number {
  return readdirSync(`/proc/${gateway.pid}/fd`).length;
}

/**
 * Waits until the number of descriptors has fallen to `wanted` and stays there, and takes the least memory of that time,
 * in which the process has collected its garbage (collect-garbage.ts). Where the number doesn't fall so far, the answer comes
 * when there is no hope left.
 */
export async function settledResources(gateway: GatewayUnderTest, wanted: number): Promise<Resources> {
  const deadline = performance.now() + PATIENCE_MS;
  let descriptors = descriptorsOf(gateway);
  let residentBytes = gateway.residentBytes();
  let quietSince = performance.now();
  const isSettled = () => descriptors <= wanted && performance.now() - quietSince >= QUIET_MS;
  while (!isSettled() && performance.now() < deadline) {
    await pause(POLL_MS);
    residentBytes = Math.min(residentBytes, gateway.residentBytes());
    const now = descriptorsOf(gateway);
    if (now === descriptors) continue;
    descriptors = now;
    quietSince = performance.now();
  }
  return { residentBytes, descriptors };
}
