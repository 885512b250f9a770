/** An agent's life that ends before one of its steps, in a process of its own: it says how many there were if it lives on. */

import { NodeWorld, TestNode } from '../../harness/postgres-node.js';
import type { Life, Scenario } from './scenarios.js';
import { armKill, countedSteps } from './steps.js';

const life = JSON.parse(process.argv[2] as string) as Life;
const world = new NodeWorld();
for (const [name, contact] of life.contacts) world.contacts.set(name, contact);
world.epoch = life.epoch;

const PRIMARY = 'p';

/** What the life does; its steps are counted from `arm` on. */
const LIVES: Readonly<Record<Scenario, (node: TestNode, arm: () => void) => Promise<void>>> = {
  async initdb(node, arm) {
    arm();
    await node.initialize();
  },
  async promotion(node, arm) {
    await node.restart();
    node.permit(60_000);
    arm();
    await node.askPosition({ do: 'promote', term: 5, above: 7 });
    await node.ask({ do: 'synchronize', standbys: [], quorum: 0 });
    node.side.carryOut({ do: 'open' });
    await node.ask({ do: 'checkpoint' });
  },
  async rewind(node, arm) {
    await node.restart();
    arm();
    await node.ask({ do: 'rewind', primary: PRIMARY, keepFrom: 0 });
    await rejoin(node);
  },
  async clone(node, arm) {
    arm();
    await node.ask({ do: 'clone', primary: PRIMARY, keepFrom: null });
    await rejoin(node);
  },
};

async function rejoin(node: TestNode): Promise<void> {
  await node.restart();
  node.side.carryOut({ do: 'follow', upstream: PRIMARY, term: 2 });
  await node.askPosition({ do: 'detach' });
}

const node = await TestNode.adopt(life.settings, world);
await LIVES[life.scenario](node, () => armKill(life.killAt));
console.log(JSON.stringify(countedSteps()));
await node.close();
