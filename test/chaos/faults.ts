/** What is done to a cluster, and how it is undone. */
import { cpus } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ClusterUnderTest } from './clusters/cluster-under-test.js';
import type { DatabaseNode } from './clusters/database-node.js';
import type { Ground } from './ground/ground.js';
import { signalAll } from './ground/program.js';

/** Whom a fault strikes. */
export interface Stricken {
  readonly ground: Ground;
  readonly cluster: ClusterUnderTest;
  readonly primary: DatabaseNode;
}

export interface Fault {
  readonly what: string;
  begin(stricken: Stricken): Promise<void>;
  /** Undoes it, once a new primary has acknowledged a write. */
  end(stricken: Stricken): Promise<void>;
  /** It is undone after so many ms, whether or not somebody has taken over. */
  readonly passesAfterMs?: number;
  /** Whether another primary is what should come of it. Undefined: either is right. */
  readonly takesOver?: boolean;
  /** The primary is cut off with clients of its own, which go on writing as long as it lets them. */
  readonly isolates?: boolean;
  /** The primary doesn't end at once: it falls silent, to all or to some, or ends later. */
  readonly isSilent?: boolean;
  /** Clients between transactions may be told this: it is what is the matter. */
  readonly mayTell?: string;
  /** No statement of anybody may fail. */
  readonly isPlanned?: boolean;
}

/** All machines but the primary's whose names begin with one of these. */
function others({ ground, primary }: Stricken, ...beginnings: readonly string[]): string[] {
  return [...ground.places.keys()].filter(
    (name) => name !== primary.name && beginnings.some((beginning) => name.startsWith(beginning)),
  );
}

/** Cuts machines from all others. */
async function cutOff(ground: Ground, near: readonly string[]): Promise<void> {
  const far = [...ground.places.keys()].filter((name) => !near.includes(name));
  for (const a of near) {
    for (const b of far) {
      await ground.cut(a, b);
      await ground.cut(b, a);
    }
  }
}

/** Stops processes of the primary's machine for a while: those of PostgreSQL, or all of them. */
function standstill(seconds: number, whole: boolean): Fault {
  let stopped: number[] = [];
  return {
    what: `${whole ? 'everything on the machine of the primary' : "the primary's PostgreSQL"} stands still for ${seconds} s (SIGSTOP)`,
    passesAfterMs: seconds * 1_000,
    isSilent: true,
    begin: async ({ ground, primary }) => {
      stopped = whole ? ground.processes(primary.name) : primary.processes();
      signalAll(stopped, 'SIGSTOP');
    },
    end: async () => signalAll(stopped, 'SIGCONT'),
  };
}

/** The primary's interface goes down and up, again and again. */
function flapping(times: number, downMs: number, upMs: number): Fault {
  return {
    what: `the primary's interface goes down ${times} times for ${downMs / 1_000} s, with ${upMs / 1_000} s between`,
    passesAfterMs: times * (downMs + upMs),
    isSilent: true,
    begin: async ({ ground, primary }) => {
      for (let i = 0; i < times; i++) {
        await ground.down(primary.name);
        await pause(downMs);
        await ground.up(primary.name);
        await pause(upMs);
      }
    },
    end: ({ ground }) => ground.repair(),
  };
}

/** All cores are busy, and now and then every process of some machine stands still for a moment. */
export function hiccups(seconds: number, stillMs: number): Fault {
  let isOver = false;
  const workers: Worker[] = [];
  return {
    what: `for ${seconds} s all cores are busy, and machines stand still for ${stillMs} ms in turn: no failover`,
    passesAfterMs: seconds * 1_000,
    takesOver: false,
    begin: async ({ ground, cluster }) => {
      isOver = false;
      for (const _ of cpus()) workers.push(new Worker('for (;;);', { eval: true }));
      const names = [...cluster.nodes.map(({ name }) => name), ...(cluster.store?.names ?? [])];
      const stumble = async () => {
        for (let i = 0; !isOver; i++) {
          const stopped = ground.processes(names[i % names.length]!);
          signalAll(stopped, 'SIGSTOP');
          await pause(stillMs);
          signalAll(stopped, 'SIGCONT');
          await pause(2 * stillMs);
        }
      };
      void stumble();
    },
    end: async () => {
      isOver = true;
      await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
      await pause(2 * stillMs);
    },
  };
}

/** Each by its name on the command line. */
export const FAULTS = {
  kill: {
    what: "kill -9 of the primary's postmaster; its service starts again once there is a new primary",
    takesOver: true,
    begin: async ({ primary }) => signalAll([primary.postmaster!], 'SIGKILL'),
    end: async ({ cluster, primary }) => cluster.revive?.(primary),
  },
  stale: {
    what: 'as kill, and once the old primary is back, gateways that know nothing of it take the place of the old ones',
    takesOver: true,
    begin: async ({ primary }) => signalAll([primary.postmaster!], 'SIGKILL'),
    end: async ({ cluster, primary }) => {
      await cluster.revive?.(primary);
      await cluster.restartGateways?.();
    },
  },
  down: {
    what: "the primary's network interface goes down, and comes back once there is a new primary",
    isolates: true,
    isSilent: true,
    takesOver: true,
    begin: ({ ground, primary }) => ground.down(primary.name),
    end: async ({ ground, cluster, primary }) => {
      await ground.up(primary.name);
      await cluster.revive?.(primary);
    },
  },
  split: {
    what: 'the primary is cut from the other nodes and the store, not from the gateways',
    isolates: true,
    isSilent: true,
    takesOver: true,
    begin: async (stricken) => {
      const { ground, primary } = stricken;
      for (const name of others(stricken, 'db', 'store')) {
        await ground.cut(primary.name, name);
        await ground.cut(name, primary.name);
      }
    },
    end: ({ ground }) => ground.repair(),
  },
  mute: {
    what: 'what the primary sends to the other nodes and the store is lost; it hears them',
    isolates: true,
    isSilent: true,
    takesOver: true,
    begin: async (stricken) => {
      for (const name of others(stricken, 'db', 'store'))
        await stricken.ground.cut(stricken.primary.name, name);
    },
    end: ({ ground }) => ground.repair(),
  },
  deaf: {
    what: 'the primary hears nothing of the other nodes and the store; they hear it',
    isolates: true,
    isSilent: true,
    takesOver: true,
    begin: async (stricken) => {
      for (const name of others(stricken, 'db', 'store'))
        await stricken.ground.cut(name, stricken.primary.name);
    },
    end: ({ ground }) => ground.repair(),
  },
  pair: {
    what: 'the primary is cut from one standby for 8 s',
    takesOver: false,
    passesAfterMs: 8_000,
    begin: async (stricken) => {
      const { ground, primary } = stricken;
      const name = others(stricken, 'db')[0]!;
      await ground.cut(primary.name, name);
      await ground.cut(name, primary.name);
    },
    end: ({ ground }) => ground.repair(),
  },
  far: {
    what: 'a standby, one gateway and half of the clients are cut from the rest for 12 s',
    isSilent: true,
    takesOver: false,
    passesAfterMs: 12_000,
    begin: async (stricken) => {
      const near = [others(stricken, 'db')[0]!, 'gw2', 'app2'];
      await cutOff(stricken.ground, near);
    },
    end: ({ ground }) => ground.repair(),
  },
  standbys: {
    what: 'the primary is cut from the standbys for 8 s, not from the store',
    passesAfterMs: 8_000,
    begin: async (stricken) => {
      const { ground, primary } = stricken;
      for (const name of others(stricken, 'db')) {
        await ground.cut(primary.name, name);
        await ground.cut(name, primary.name);
      }
    },
    end: ({ ground }) => ground.repair(),
  },
  side: {
    what: 'the primary, one gateway and half of the clients are cut from the rest',
    isolates: true,
    isSilent: true,
    takesOver: true,
    begin: async (stricken) => {
      await cutOff(stricken.ground, [stricken.primary.name, 'gw1', 'app1']);
    },
    end: ({ ground }) => ground.repair(),
  },
  crash: {
    what: 'everything on the machine of the primary is killed; it boots once there is a new primary',
    takesOver: true,
    begin: async ({ ground, primary }) => signalAll(ground.processes(primary.name), 'SIGKILL'),
    end: async ({ cluster, primary }) => {
      await cluster.revive?.(primary);
      await cluster.boot?.(primary);
    },
  },
  manager: {
    what: "kill -9 of what manages the primary's PostgreSQL; it is started again once there is a new primary",
    begin: async ({ cluster, primary }) => {
      if (cluster.managerOf === undefined) throw new Error('this cluster has no manager to kill');
      signalAll([cluster.managerOf(primary)], 'SIGKILL');
    },
    end: async ({ cluster, primary }) => cluster.boot?.(primary),
    passesAfterMs: 15_000,
  },
  store: {
    what: 'all members of the store are killed, and start again after 15 s',
    isSilent: true,
    passesAfterMs: 15_000,
    begin: async ({ cluster }) => {
      await Promise.all((cluster.store?.names ?? []).map((name) => cluster.store?.kill(name)));
    },
    end: async ({ cluster }) => {
      for (const name of cluster.store?.names ?? []) cluster.store?.startMember(name);
    },
  },
  switchover: {
    what: 'a planned switchover',
    isPlanned: true,
    takesOver: true,
    begin: async ({ cluster }) => {
      if (cluster.switchOver === undefined) throw new Error('this cluster knows no switchover');
      await cluster.switchOver();
    },
    end: async () => {},
  },
  gateways: {
    what: 'the gateways are restarted one after the other, with their clients',
    takesOver: false,
    passesAfterMs: 1_000,
    begin: async ({ cluster }) => {
      if (cluster.restartGateways === undefined) throw new Error('this cluster has no gateways to restart');
      await cluster.restartGateways();
    },
    end: async () => {},
  },
  flap: flapping(6, 1_000, 2_000),
  stop5: standstill(5, false),
  stop20: standstill(20, false),
  stop60: standstill(60, false),
  freeze5: standstill(5, true),
  freeze20: standstill(20, true),
  hiccups: hiccups(60, 200),
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;
