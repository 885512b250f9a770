/** What is done to a cluster, and how it is undone. */
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
  /** Nothing is expected to take over: it is undone after so many ms. */
  readonly passesAfterMs?: number;
}

const others = ({ ground, primary }: Stricken): string[] =>
  [...ground.places.keys()].filter((name) => name !== primary.name);

/** Stops the processes of the primary's PostgreSQL for a while. */
function standstill(ms: number): Fault {
  let stopped: number[] = [];
  return {
    what: `PostgreSQL stands still for ${ms / 1_000} s (SIGSTOP)`,
    passesAfterMs: ms,
    begin: async ({ primary }) => {
      stopped = primary.processes();
      signalAll(stopped, 'SIGSTOP');
    },
    end: async () => signalAll(stopped, 'SIGCONT'),
  };
}

/** Each by its name on the command line. */
export const FAULTS = {
  kill: {
    what: "kill -9 of the primary's postmaster; its service starts again once there is a new primary",
    begin: async ({ primary }) => signalAll([primary.postmaster!], 'SIGKILL'),
    end: async ({ cluster, primary }) => cluster.revive?.(primary),
  },
  down: {
    what: "the primary's network interface goes down, and comes back once there is a new primary",
    begin: ({ ground, primary }) => ground.down(primary.name),
    end: async ({ ground, cluster, primary }) => {
      await ground.up(primary.name);
      await cluster.revive?.(primary);
    },
  },
  split: {
    what: 'the primary is cut from the other nodes and the store, not from the gateways',
    begin: async (stricken) => {
      const { ground, primary } = stricken;
      for (const name of others(stricken).filter((one) => /^(?:db|store)/.test(one))) {
        await ground.cut(primary.name, name);
        await ground.cut(name, primary.name);
      }
    },
    end: ({ ground }) => ground.repair(),
  },
  deaf: {
    what: 'what the primary sends to the other nodes and the store is lost; it hears them',
    begin: async (stricken) => {
      const { ground, primary } = stricken;
      for (const name of others(stricken).filter((one) => /^(?:db|store)/.test(one))) {
        await ground.cut(primary.name, name);
      }
    },
    end: ({ ground }) => ground.repair(),
  },
  stop5: standstill(5_000),
  stop20: standstill(20_000),
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;
