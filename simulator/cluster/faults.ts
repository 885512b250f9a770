/** What happens to a cluster: each fault begins at some moment, and takes itself back after a while. */
import { CONTROL, type Control, NO_CONTROL } from '../../src/cluster/records.js';
import type { StateName } from '../../src/cluster/states.js';
import type { Random } from '../random.js';
import { STORE } from './network.js';
import type { SimNode } from './sim-node.js';
import type { World } from './world.js';

/** Begins it; the function that it returns ends it. */
type Fault = (world: World, random: Random) => (() => void) | undefined;

const STATES: readonly StateName[] = [
  ...(['starting', 'standing', 'following', 'detaching', 'acquiring', 'promoting', 'publishing'] as const),
  ...(['opening', 'leading', 'draining', 'yielding', 'fencing', 'fenced', 'rejoining', 'cloning'] as const),
];

function someNode(world: World, random: Random): SimNode {
  const leader = world.nodes.find(({ postgres }) => postgres.isPrimary);
  return leader !== undefined && random.chance(0.5) ? leader : random.pick(world.nodes);
}

/** Cuts some of the ways between the two sides, in both directions or in one. */
function cutBetween(world: World, random: Random, one: string, others: readonly string[]): () => void {
  const both = random.chance(0.7);
  const out = both || random.chance(0.5);
  for (const other of others) {
    if (out) world.network.cut(one, other);
    if (both || !out) world.network.cut(other, one);
  }
  return () => {
    for (const other of others) {
      world.network.mend(one, other);
      world.network.mend(other, one);
    }
  };
}

function othersThan(world: World, name: string): string[] {
  return world.nodes.map((node) => node.name).filter((other) => other !== name);
}

function control(world: World, change: Partial<Control>): void {
  const { state } = world.store;
  const value = state.view().values.get(CONTROL);
  const now: Control = value === undefined ? NO_CONTROL : JSON.parse(value.text);
  state.publish(CONTROL, JSON.stringify({ ...now, ...change }), value?.version ?? 0, null);
}

function crash(node: SimNode, random: Random): () => void {
  const kind = random.pick(['postgres', 'agent', 'machine'] as const);
  if (kind === 'postgres') node.killPostgres();
  else if (kind === 'agent') node.endAgent();
  else node.powerOff();
  return () => {
    node.powerOn();
    node.startAgent();
  };
}

/** By name, with how often each is chosen. */
export const FAULTS: Readonly<Record<string, readonly [weight: number, fault: Fault]>> = {
  'kill -9 of the postmaster': [6, (world, random) => void someNode(world, random).killPostgres()],
  'kill -9 of the agent': [
    4,
    (world, random) => {
      const node = someNode(world, random);
      node.endAgent();
      return () => node.startAgent();
    },
  ],
  'a machine crashes': [
    4,
    (world, random) => {
      const node = someNode(world, random);
      node.powerOff();
      return () => node.powerOn();
    },
  ],
  'all machines crash': [
    1,
    (world) => {
      for (const node of world.nodes) node.powerOff();
      return () => {
        for (const node of world.nodes) node.powerOn();
      };
    },
  ],
  'a crash at a step': [
    10,
    (world, random) => {
      const node = random.pick(world.nodes);
      let undo = () => {};
      const spring = () => world.agenda.in(random.int(0, 60), () => (undo = crash(node, random)));
      node.trap = { state: random.pick(STATES), spring };
      return () => {
        node.trap = null;
        undo();
      };
    },
  ],
  'the next primary is lost as soon as it is one': [
    8,
    (world, random) => {
      const state = random.pick(['publishing', 'opening', 'leading'] as const);
      const leader = world.nodes.find(({ postgres }) => postgres.isPrimary);
      // One that lags behind shows who has what.
      const standby = random.pick(world.nodes.filter((node) => node !== leader));
      standby.walDelayMs = random.pick([0, 300, 1000]);
      const undo: (() => void)[] = [];
      const lose = (node: SimNode) => {
        node.powerOff();
        undo.push(() => node.powerOn());
      };
      const spring = (node: SimNode) => () => {
        for (const other of world.nodes) other.trap = null;
        world.agenda.in(random.int(0, 400), () => lose(node));
      };
      world.agenda.in(random.int(0, 2000), () => {
        for (const node of world.nodes) node.trap = { state, spring: spring(node) };
        if (random.chance(0.3)) leader?.killPostgres();
        else if (leader !== undefined) lose(leader);
      });
      return () => {
        standby.walDelayMs = 0;
        for (const node of world.nodes) node.trap = null;
        for (const work of undo) work();
      };
    },
  ],
  'a node is cut off from the store': [
    4,
    (world, random) => cutBetween(world, random, someNode(world, random).name, [STORE]),
  ],
  'a node is cut off from the others': [
    3,
    (world, random) => {
      const { name } = someNode(world, random);
      return cutBetween(world, random, name, othersThan(world, name));
    },
  ],
  'a node is cut off from everybody': [
    5,
    (world, random) => {
      const { name } = someNode(world, random);
      return cutBetween(world, random, name, [...othersThan(world, name), STORE]);
    },
  ],
  'two nodes are cut off from each other': [
    3,
    (world, random) => {
      const { name } = someNode(world, random);
      return cutBetween(world, random, name, [random.pick(othersThan(world, name))]);
    },
  ],
  'the network loses messages and is slow': [
    3,
    (world, random) => {
      world.network.loss = random.fraction() * 0.4;
      world.network.delayMs = random.pick([2, 50, 400, 2500]);
      return () => {
        world.network.loss = 0;
        world.network.delayMs = 2;
      };
    },
  ],
  'an agent is paused': [
    4,
    (world, random) => {
      const node = someNode(world, random);
      node.isAgentPaused = node.agent !== null;
      return () => node.resumeAgent();
    },
  ],
  'a machine stands still': [
    4,
    (world, random) => {
      const node = someNode(world, random);
      node.freeze(false);
      return () => node.thaw();
    },
  ],
  'a machine stands still together with its clock': [
    3,
    (world, random) => {
      const node = someNode(world, random);
      // Without synchronous standbys nothing is a fence then: cluster/lease-time.ts says so.
      node.freeze(world.durability !== 'asynchronous');
      return () => node.thaw();
    },
  ],
  'a disk is slow': [
    3,
    (world, random) => {
      const node = someNode(world, random);
      node.diskMs = random.pick([50, 500, 3000]);
      return () => {
        node.diskMs = 1;
      };
    },
  ],
  'a disk is stuck': [
    2,
    (world, random) => {
      const node = someNode(world, random);
      node.isDiskStuck = true;
      return () => {
        node.isDiskStuck = false;
      };
    },
  ],
  'the store is down': [
    3,
    (world) => {
      world.store.isUp = false;
      return () => world.store.restart();
    },
  ],
  'the store restarts': [2, (world) => void world.store.restart()],
  'a switchover is asked for': [
    6,
    (world, random) => {
      const { leader } = world.store.state.view();
      if (leader === null) return undefined;
      const to = random.chance(0.3) ? null : random.pick(world.nodes).name;
      control(world, { switchover: { term: leader.term, to } });
      return () => control(world, { switchover: null });
    },
  ],
  "an operator wants a node's data anew": [
    2,
    (world, random) => void random.pick(world.nodes).tell({ kind: 'reinit' }),
  ],
  'the cluster is paused': [
    1,
    (world) => {
      control(world, { paused: true });
      return () => control(world, { paused: false });
    },
  ],
};
