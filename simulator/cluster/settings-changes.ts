/** Operators who change what a commit is worth while the cluster runs: one file after the other. */
import type { Durability } from '../../src/cluster/settings.js';
import type { Random } from '../random.js';
import type { World } from './world.js';

/** Between two files. ms. */
const FILE_MS = 2000;

/**
 * Some changes before `endsAt`, when all files say again what they said first. Nobody changes to `asynchronous`, or from it: what
 * was acknowledged under it may be lost.
 */
export function planChanges(world: World, random: Random, endsAt: number): void {
  if (world.durability === 'asynchronous') return;
  const most = Math.min(2, world.nodes.length - 1);
  for (let changes = random.int(1, 6); changes > 0; changes--) {
    const durability = random.pick<Durability>(['durable', 'available']);
    const quorum = random.int(1, most);
    const at = random.fraction() * (endsAt - world.nodes.length * FILE_MS);
    for (const node of world.nodes) {
      world.agenda.in(at + random.fraction() * FILE_MS, () => {
        world.trace?.(`-- the file of ${node.name} says ${durability}, quorum ${quorum}`);
        node.reload({ durability, quorum });
      });
    }
  }
  for (const node of world.nodes) {
    const { durability, quorum } = node.settings;
    world.agenda.in(endsAt, () => node.reload({ durability, quorum }));
  }
}
