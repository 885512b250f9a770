/** How troubles are made, and undone. */
import { setTimeout as pause } from 'node:timers/promises';
import { APPLICATIONS, DATABASES, GATEWAYS, STORES } from '../clusters/cluster-under-test.js';
import type { DatabaseNode } from '../clusters/database-node.js';
import type { SluiceCluster } from '../clusters/sluice-cluster.js';
import type { Ground } from '../ground/ground.js';
import { signalAll } from '../ground/program.js';
import type { Trouble, TroubleName } from './schedule.js';

/** Where troubles are made. */
export interface Field {
  readonly ground: Ground;
  readonly cluster: SluiceCluster;
  /** The primary when the act began, then the standbys. */
  readonly roles: readonly DatabaseNode[];
  /** Gateways that some trouble has ended and will start again. */
  readonly ended: Set<string>;
}

type Undo = () => Promise<void>;
type Strike = (field: Field, victim: number) => Promise<Undo>;

const FLAP_DOWN_MS = 700;
const FLAP_UP_MS = 1_500;

/** Machines that are there, without those named. */
function rest({ ground }: Field, names: readonly string[], but: readonly string[]): string[] {
  return names.filter((name) => ground.places.has(name) && !but.includes(name));
}

/** What `near` sends to `far` is lost, and the other way round where `both` says so. */
async function cutAll(
  { ground }: Field,
  near: readonly string[],
  far: readonly string[],
  both: boolean,
): Promise<Undo> {
  const ways = near.flatMap((a) => far.flatMap((b) => [[a, b] as const, ...(both ? [[b, a] as const] : [])]));
  for (const [from, to] of ways) await ground.cut(from, to);
  return async () => {
    for (const [from, to] of ways) await ground.heal(from, to);
  };
}

const EVERYBODY = [...DATABASES, ...STORES];

async function flap({ ground, roles }: Field, victim: number): Promise<Undo> {
  const { name } = roles[victim]!;
  const over = new AbortController();
  const flaps = (async () => {
    while (!over.signal.aborted) {
      await ground.down(name);
      await pause(FLAP_DOWN_MS);
      await ground.up(name);
      await pause(FLAP_UP_MS, undefined, { signal: over.signal }).catch(() => {});
    }
  })();
  return async () => {
    over.abort();
    await flaps;
  };
}

/** A gateway ends, and is started again when the trouble is over; nothing happens if it has ended already. */
async function endGateway(
  { cluster: { gateways }, ended }: Field,
  victim: number,
  signal: NodeJS.Signals,
): Promise<Undo> {
  const name = GATEWAYS[victim % 2]!;
  if (ended.has(name)) return async () => {};
  ended.add(name);
  await gateways.end(name, signal);
  return async () => {
    await gateways.startAgain(name);
    ended.delete(name);
  };
}

const STRIKES: Readonly<Record<TroubleName, Strike>> = {
  kill: async ({ roles }, victim) => {
    const pid = roles[victim]!.postmaster;
    if (pid !== null) signalAll([pid], 'SIGKILL');
    return async () => {};
  },
  agent: async ({ cluster, roles }, victim) => {
    signalAll([cluster.managerOf(roles[victim]!)], 'SIGKILL');
    return () => cluster.boot(roles[victim]!);
  },
  crash: async ({ ground, cluster, roles }, victim) => {
    signalAll(ground.processes(roles[victim]!.name), 'SIGKILL');
    return () => cluster.boot(roles[victim]!);
  },
  down: async ({ ground, roles }, victim) => {
    await ground.down(roles[victim]!.name);
    return () => ground.up(roles[victim]!.name);
  },
  isolate: (field, victim) => {
    const { name } = field.roles[victim]!;
    return cutAll(field, [name], rest(field, EVERYBODY, [name]), true);
  },
  mute: (field, victim) => {
    const { name } = field.roles[victim]!;
    return cutAll(field, [name], rest(field, EVERYBODY, [name]), false);
  },
  deaf: (field, victim) => {
    const { name } = field.roles[victim]!;
    return cutAll(field, rest(field, EVERYBODY, [name]), [name], false);
  },
  side: (field, victim) => {
    const near = [field.roles[victim]!.name, GATEWAYS[victim % 2]!, APPLICATIONS[0]];
    return cutAll(field, near, rest(field, [...field.ground.places.keys()], near), true);
  },
  flap,
  stop: async ({ ground, roles }, victim) => {
    const node = roles[victim]!;
    const stopped = node.processes();
    signalAll(stopped, 'SIGSTOP');
    return async () => {
      const there = new Set(ground.processes(node.name));
      signalAll(
        stopped.filter((pid) => there.has(pid)),
        'SIGCONT',
      );
    };
  },
  freeze: async ({ ground, roles }, victim) => {
    const { name } = roles[victim]!;
    signalAll(ground.processes(name), 'SIGSTOP');
    return async () => signalAll(ground.processes(name), 'SIGCONT');
  },
  store: async ({ cluster: { store } }, victim) => {
    const name = store.names[victim % store.names.length]!;
    await store.kill(name);
    return async () => store.startMember(name);
  },
  gateway: (field, victim) => endGateway(field, victim, 'SIGKILL'),
  restart: (field, victim) => endGateway(field, victim, 'SIGTERM'),
  switchover: async ({ cluster }) => {
    // Whether it can be done at all depends on what else goes wrong.
    const done = cluster.switchOver().catch(() => {});
    return () => done;
  },
};

/** By these, clients on the primary's machine may stand still with an answer in their hands. */
export const FREEZES: ReadonlySet<TroubleName> = new Set(['freeze']);
/** By these, clients go to the other gateway, and stay there. */
export const MOVES_CLIENTS: ReadonlySet<TroubleName> = new Set(['gateway', 'restart', 'side']);

/** Lets a trouble come and pass. `pass` is how many ms from the beginning of its act have gone by. */
export async function undergo(field: Field, trouble: Trouble): Promise<void> {
  const { name, beginMs, lastsMs, victim } = trouble;
  await pause(beginMs);
  const undo = await STRIKES[name](field, victim);
  await pause(lastsMs);
  await undo();
}

/** A trouble for people. */
export function told({ name, beginMs, lastsMs, victim }: Trouble, { cluster, roles }: Field): string {
  const whom =
    name === 'store'
      ? cluster.store.names[victim % cluster.store.names.length]
      : name === 'gateway' || name === 'restart'
        ? GATEWAYS[victim % 2]
        : name === 'switchover'
          ? ''
          : roles[victim]!.name;
  return `${name} ${whom} at ${(beginMs / 1_000).toFixed(1)} s for ${lastsMs / 1_000} s`.replace('  ', ' ');
}
