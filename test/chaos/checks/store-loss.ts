/** Check 10: the store is lost, all of it or one member. */
import { readFileSync } from 'node:fs';
import type { Etcd } from '../clusters/etcd.js';
import { STORE_PORT } from '../clusters/ports.js';
import { FAULTS, type Fault, type Stricken } from '../faults.js';
import { hexadecimal, socketsOf } from '../ground/residents.js';
import { type Check, type Scene, THREE_STORES, underFault } from './check.js';

const GONE_MS = 12_000;

type Choice = (scene: Scene, stricken: Stricken) => string | Promise<string>;

/** One of three members is killed, and comes back. Nothing may come of it: the others agree. */
function without(which: string, choose: Choice) {
  return underFault({
    what: which,
    stage: THREE_STORES,
    fault: (scene): Fault => {
      let name = '';
      return {
        what: `${which} of the store is killed, and starts again after ${GONE_MS / 1_000} s`,
        takesOver: false,
        passesAfterMs: GONE_MS,
        begin: async (stricken) => {
          name = await choose(scene, stricken);
          await scene.cluster.store.kill(name);
        },
        end: async () => scene.cluster.store.startMember(name),
      };
    },
  });
}

async function leaderOf(store: Etcd): Promise<string> {
  for (const name of store.names) if (await store.leads(name)) return name;
  throw new Error('no member of the store says that it leads');
}

/** The member to which the agent of the primary has most connections (Linux). */
function memberOf({ cluster, ground }: Scene, { primary }: Stricken): string {
  const counts = cluster.store.names.map((name) => {
    const place = ground.place(name).address;
    return [name, connectionsTo(cluster.managerOf(primary), place)] as const;
  });
  return counts.reduce((a, b) => (b[1] > a[1] ? b : a))[0];
}

/** How many established connections a process has to the store's port of an address, by /proc. */
function connectionsTo(pid: number, address: string): number {
  const remote = hexadecimal({ address, port: STORE_PORT });
  const own = new Set(socketsOf(pid));
  const lines = readFileSync(`/proc/${pid}/net/tcp`, 'latin1').trimEnd().split('\n');
  const rows = lines.map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row[2] === remote && row[3] === '01' && own.has(row[9]!)).length;
}

export const STORE_LOSS: Check = {
  number: 10,
  name: 'the store is lost: writes stop or go on as documented, and there are never two primaries',
  parts: [
    underFault({ what: 'all of one', fault: FAULTS.store }),
    underFault({ what: 'all of three', stage: THREE_STORES, fault: FAULTS.store }),
    without('a member that does not lead', async ({ cluster: { store } }) => {
      const leader = await leaderOf(store);
      return store.names.find((name) => name !== leader)!;
    }),
    without('the member that leads', ({ cluster: { store } }) => leaderOf(store)),
    without("the member that the primary's agent talks to", memberOf),
  ],
};
