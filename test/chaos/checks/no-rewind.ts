/** Check 11: an old primary that can't be rewound, or that nobody has the WAL for any more, is cloned. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../harness/until.js';
import type { DatabaseNode } from '../clusters/database-node.js';
import type { SluiceCluster } from '../clusters/sluice-cluster.js';
import { FAULTS, type Fault, type Stricken } from '../faults.js';
import { signalAll } from '../ground/program.js';
import { writableNode } from '../round.js';
import { type Check, type CheckPart, type Scene, type Stage, underFault } from './check.js';

/** WAL is soon gone. */
const LITTLE_WAL: Stage = { stores: 1, settings: { wal_keep_size: '32MB', max_wal_size: '64MB' } };
const SWITCHES = 12;

/** The old primary is cut off with clients of its own, so that it has WAL of its own; something happens before it returns. */
function returning({ cluster }: Scene, before: (primary: DatabaseNode) => Promise<void>): Fault {
  return {
    ...FAULTS.down,
    end: async ({ ground, primary }: Stricken) => {
      signalAll([cluster.managerOf(primary)], 'SIGKILL');
      await until('the guard to end PostgreSQL', () => primary.postmaster === null);
      await before(primary);
      await ground.up(primary.name);
      await cluster.boot(primary);
    },
  };
}

/** So much that nothing of what there is now is kept. */
async function useUpWal(cluster: SluiceCluster): Promise<void> {
  const primary = await writableNode(cluster);
  for (let i = 0; i < SWITCHES; i++) {
    await primary.query('SELECT pg_logical_emit_message(true, $$chaos$$, $$x$$); SELECT pg_switch_wal()');
  }
  await primary.query('CHECKPOINT', 60_000);
}

function removeWal({ data }: DatabaseNode): void {
  const folder = join(data, 'pg_wal');
  for (const name of readdirSync(folder)) if (/^[0-9A-F]{24}$/.test(name)) rmSync(join(folder, name));
}

function cloned(what: string, before: (scene: Scene, primary: DatabaseNode) => Promise<void>): CheckPart {
  const part = (scene: Scene, struck: { node: DatabaseNode | null; clones: number }) =>
    underFault({
      what,
      stage: LITTLE_WAL,
      fault: returning(scene, async (primary) => {
        struck.node = primary;
        struck.clones = clonesOf(scene, primary);
        await before(scene, primary);
      }),
      more: async () => {
        const { node, clones } = struck;
        if (node === null || clonesOf(scene, node) === clones) return ['the old primary was not cloned'];
        return (await isSame(scene, node)) ? [] : ['the clone has not what the primary has'];
      },
    });
  const attempt = (scene: Scene) => part(scene, { node: null, clones: 0 }).attempt(scene);
  return { what, stage: LITTLE_WAL, attempt };
}

function clonesOf({ cluster }: Scene, node: DatabaseNode): number {
  return cluster.eventsOf(node).filter(({ details }) => details?.to === 'cloning').length;
}

/** Whether a standby gets all that the primary has now. */
async function isSame({ cluster }: Scene, standby: DatabaseNode): Promise<boolean> {
  const primary = await writableNode(cluster);
  const [end] = await primary.query(
    'SELECT pg_current_wal_flush_lsn()::text AS lsn, count(*) AS count FROM chaos_set',
  );
  const has = async () =>
    (await standby.query(`SELECT pg_last_wal_replay_lsn() >= '${end!.lsn}' AS yes`).catch(() => []))[0]
      ?.yes === true;
  await until(`${standby.name} to have everything`, has, 30_000);
  const [there] = await standby.query('SELECT count(*) AS count FROM chaos_set');
  return Number(there!.count) >= Number(end!.count);
}

export const NO_REWIND: Check = {
  number: 11,
  name: 'where a rewind can’t be, there is a clone',
  parts: [
    cloned('the old primary has lost its WAL', async (_, primary) => removeWal(primary)),
    cloned('the new primary has no WAL from so long ago', async ({ cluster }) => useUpWal(cluster)),
  ],
};
