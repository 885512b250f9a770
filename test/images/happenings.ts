/** What happens to pods in the life of a cluster. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../harness/until.js';
import { type PodsUnderTest, SLOTS } from './pods-under-test.js';
import { type Felt, underLoad } from './under-load.js';

const HEAL_LIMIT_MS = 120_000;
/** After this a client that was refused has tried every pod. */
const SETTLE_MS = 1_000;
/** How long a disk stays full. */
const FULL_MS = 15_000;

/** How it went; times of pods that ended, in ms. */
export interface Happened {
  readonly felt: Felt;
  readonly endedMs: readonly number[];
}

/** All of a tier's pods are replaced, one after the other, as a Deployment with one surplus pod does it. */
export async function rollGateways(pods: PodsUnderTest, count = 3): Promise<Happened> {
  const endedMs: number[] = [];
  const felt = await underLoad(pods, 'gateway', async () => {
    const { names } = pods.service('gateway');
    let free: string = SLOTS.gateway.find((slot) => !names.includes(slot))!;
    for (const old of names.slice(0, count)) {
      await pods.startGateway('gateway', free);
      await pods.service('gateway').ready();
      endedMs.push(await pods.deleteGateway('gateway', old));
      free = old;
    }
  });
  return { felt, endedMs };
}

/** One pod of each tier runs out of memory, and is started again. */
export async function killInTiers(
  pods: PodsUnderTest,
  slots: readonly ['pool' | 'route', string][],
): Promise<Happened> {
  const felt = await underLoad(pods, 'pool', async () => {
    for (const [, slot] of slots) await pods.podman.kill(slot, 'gateway');
    await pause(SETTLE_MS);
    for (const [tier] of slots) await pods.service(tier).ready();
  });
  return { felt, endedMs: [] };
}

/** The primary's pod is deleted; its StatefulSet makes another one. `isForced`: without a grace period. */
export async function deletePrimary(pods: PodsUnderTest, isForced: boolean): Promise<Happened> {
  const primary = await pods.leader();
  const endedMs: number[] = [];
  const felt = await underLoad(pods, 'gateway', async (strikes) => {
    strikes();
    if (!isForced) endedMs.push(await pods.podman.stop(primary, pods.grace('main')));
    await pods.podman.remove(primary);
    await until('another primary', async () => (await pods.leader()) !== primary, HEAL_LIMIT_MS);
    await pods.startNode(primary);
    await until(`${primary} to stream`, () => pods.streams(primary), HEAL_LIMIT_MS);
  });
  return { felt, endedMs };
}

/** PostgreSQL in the primary's pod is killed; the agent lives on. */
export async function killPostmaster(pods: PodsUnderTest): Promise<Happened> {
  const primary = await pods.leader();
  const felt = await underLoad(pods, 'gateway', async (strikes) => {
    const kill =
      "process.kill(Number(fs.readFileSync('/var/lib/sluice/data/postmaster.pid','utf8').split('\\n')[0]),9)";
    const begun = pods.podman.exec(primary, 'node', ['/opt/sluice/bin/node', '-e', kill]);
    strikes();
    await begun;
    await until('another primary', async () => (await pods.leader()) !== primary, HEAL_LIMIT_MS);
    await until(`${primary} to stream`, () => pods.streams(primary), HEAL_LIMIT_MS);
  });
  return { felt, endedMs: [] };
}

/** The primary's container runs out of memory: everything in it is killed, and it is started again where it was. */
export async function killPrimaryContainer(pods: PodsUnderTest): Promise<Happened> {
  const primary = await pods.leader();
  const felt = await underLoad(pods, 'gateway', async (strikes) => {
    strikes();
    await pods.podman.kill(primary, 'node');
    await pause(SETTLE_MS);
    const leader = await pods.leader();
    for (const node of pods.nodes) {
      if (node !== leader) await until(`${node} to stream`, () => pods.streams(node), HEAL_LIMIT_MS);
    }
  });
  return { felt, endedMs: [] };
}

/**
 * The volume of the primary's data is full for a while. Statements that need room fail; whether PostgreSQL ends, so that a
 * standby leads, depends on the WAL that it has kept.
 */
export async function fillDisk(pods: PodsUnderTest): Promise<Happened> {
  const primary = await pods.leader();
  const felt = await underLoad(pods, 'gateway', async (strikes) => {
    pods.volume(primary).fill();
    strikes();
    await pause(FULL_MS);
    pods.volume(primary).empty();
    await until('a primary', () => pods.leader(), HEAL_LIMIT_MS);
  });
  return { felt, endedMs: [] };
}
