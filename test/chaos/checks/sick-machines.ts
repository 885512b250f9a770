/** Check 8: links that flap or go one way, processes that stand still, disks that hang or are full. */
import type { DatabaseNode } from '../clusters/database-node.js';
import { FAULTS, type Fault } from '../faults.js';
import { signalAll } from '../ground/program.js';
import {
  type Check,
  type CheckPart,
  changesAtMost,
  type Scene,
  type Stage,
  underFault,
  underFaults,
} from './check.js';

const STILL_MS = 15_000;
/** More than PostgreSQL keeps in advance. */
const SEGMENTS = 30;
const NEXT_SEGMENT = "SELECT pg_logical_emit_message(true, 'chaos', 'x'); SELECT pg_switch_wal()";
/** Room for the data, and little for WAL. */
const SMALL_DISKS: Stage = {
  stores: 1,
  diskMegabytes: 400,
  settings: { wal_keep_size: '64MB', max_wal_size: '96MB' },
};

/** Processes of one kind, as pg_stat_activity names them. */
async function backendsOf(node: DatabaseNode, kind: string): Promise<number[]> {
  const rows = await node.query(`SELECT pid FROM pg_stat_activity WHERE backend_type = '${kind}'`);
  return rows.map(({ pid }) => Number(pid));
}

/** A process of the primary that no commit needs stands still. */
function standsStill(kind: string): CheckPart {
  let pids: number[] = [];
  return underFault({
    what: `the ${kind} stands still`,
    fault: {
      what: `the primary's ${kind} stands still`,
      takesOver: false,
      passesAfterMs: STILL_MS,
      begin: async ({ primary }) => {
        pids = await backendsOf(primary, kind);
        signalAll(pids, 'SIGSTOP');
      },
      end: async () => signalAll(pids, 'SIGCONT'),
    },
  });
}

/** The primary dies, and a standby receives WAL and can't be promoted, since what replays it stands still. */
function sickCandidate(): CheckPart {
  let pids: number[] = [];
  return underFault({
    what: 'the primary dies, and a standby can’t replay',
    fault: {
      what: 'the process that replays WAL stands still on a standby, and the postmaster of the primary is killed',
      takesOver: true,
      begin: async ({ cluster, primary }) => {
        const standby = cluster.nodes.find((node) => node !== primary)!;
        pids = await backendsOf(standby, 'startup');
        signalAll(pids, 'SIGSTOP');
        signalAll([primary.postmaster!], 'SIGKILL');
      },
      end: async () => signalAll(pids, 'SIGCONT'),
    },
    more: changesAtMost(2),
  });
}

/** The disk of the primary takes nothing for a while: nothing that writes to it can be killed, either. */
function frozenDisk({ cluster }: Scene): Fault {
  return {
    what: "the primary's disk hangs",
    isSilent: true,
    takesOver: true,
    begin: ({ primary }) => cluster.disks.get(primary)!.freeze(),
    end: ({ primary }) => cluster.disks.get(primary)!.thaw(),
  };
}

/** As long as there is room in the WAL, statements fail that need more; when that is full, too, PostgreSQL ends. */
function fullDisk({ cluster }: Scene): Fault {
  return {
    what: "the primary's disk is full",
    takesOver: true,
    // It ends a while after the disk is full.
    isSilent: true,
    mayTell: '53100',
    begin: async ({ primary }) => {
      await cluster.disks.get(primary)!.fill();
      const postmaster = primary.postmaster;
      for (let i = 0; i < SEGMENTS && primary.postmaster === postmaster; i++) {
        await primary.query(NEXT_SEGMENT).catch(() => {});
      }
    },
    end: async ({ primary }) => cluster.disks.get(primary)!.empty(),
  };
}

const { flap, mute, deaf } = FAULTS;

export const SICK_MACHINES: Check = {
  number: 8,
  name: 'flapping and one-way links, stuck processes and disks: no storm, and what can’t write is replaced',
  parts: [
    ...underFaults({ flap, mute, deaf }, { more: changesAtMost(1) }),
    standsStill('walwriter'),
    standsStill('checkpointer'),
    sickCandidate(),
    underFault({ what: 'a disk that hangs', stage: SMALL_DISKS, fault: frozenDisk, more: changesAtMost(1) }),
    underFault({ what: 'a full disk', stage: SMALL_DISKS, fault: fullDisk, more: changesAtMost(2) }),
  ],
};
