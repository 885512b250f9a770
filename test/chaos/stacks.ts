/** What can be put to the test, by name. */
import type { Building, ClusterUnderTest } from './clusters/cluster-under-test.js';
import { PATRONI_CHAIN_PROGRAMS, PATRONI_PROGRAMS, PatroniCluster } from './clusters/patroni-cluster.js';
import { PGPOOL_PROGRAMS, REPMGR_PROGRAMS, RepmgrCluster } from './clusters/repmgr-cluster.js';
import { SLUICE_PROGRAMS, SluiceCluster } from './clusters/sluice-cluster.js';
import type { Promises } from './verdict.js';

export interface Stack {
  readonly what: string;
  /** Programs that have to be there. */
  readonly needs: readonly string[];
  /** Each round needs a new cluster: this one doesn't heal. */
  readonly isFreshEachRound: boolean;
  /** What is expected of it: a violation makes the run fail. Of others it is only told. */
  readonly promises: Promises;
  readonly build: (building: Building) => ClusterUnderTest;
}

export const STACKS = {
  sluice: {
    what: 'Sluice: its agents and its gateways',
    needs: SLUICE_PROGRAMS,
    isFreshEachRound: false,
    promises: 'everything',
    build: (building) => new SluiceCluster(building),
  },
  repmgr: {
    what: 'Sluice in front of repmgr',
    needs: REPMGR_PROGRAMS,
    isFreshEachRound: true,
    promises: 'one primary through the gateway',
    build: (building) => new RepmgrCluster(building, 'sluice'),
  },
  patroni: {
    what: 'Sluice in front of Patroni',
    needs: PATRONI_PROGRAMS,
    isFreshEachRound: false,
    promises: 'one primary through the gateway',
    build: (building) => new PatroniCluster(building, 'sluice'),
  },
  'repmgr-chain': {
    what: 'PgBouncer, Pgpool-II and repmgr',
    needs: PGPOOL_PROGRAMS,
    isFreshEachRound: true,
    promises: 'nothing',
    build: (building) => new RepmgrCluster(building, 'pgpool'),
  },
  'patroni-chain': {
    what: 'PgBouncer and Patroni',
    needs: PATRONI_CHAIN_PROGRAMS,
    isFreshEachRound: false,
    promises: 'nothing',
    build: (building) => new PatroniCluster(building, 'pgbouncer'),
  },
} as const satisfies Record<string, Stack>;

export type StackName = keyof typeof STACKS;
