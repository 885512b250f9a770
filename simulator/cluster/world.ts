/**
 * Whole clusters in one process: agents with the machine that ships, model PostgreSQLs, the embedded store's own state
 * machine, clocks of different rates, and a network; time and faults come from a seed.
 */
import * as Product from '../../src/cluster/machine.js';
import type { NodeState } from '../../src/cluster/node-state.js';
import { type ClusterSettings, DEFAULT_TIMING, type Durability } from '../../src/cluster/settings.js';
import { Random } from '../random.js';
import { Agenda } from './agenda.js';
import type { Defect, Machine } from './defect.js';
import { FAULTS } from './faults.js';
import { type Entry, Ledger } from './ledger.js';
import { Network } from './network.js';
import { planChanges } from './settings-changes.js';
import { SimNode } from './sim-node.js';
import { SimStore } from './sim-store.js';

/** Faults begin and end in this time. ms of true time. */
const CALM_MS = 5000;
const TROUBLE_MS = 60_000;
/** In so long a cluster must be whole again, when nothing is wrong with its machines any more. */
const HEAL_MS = 60_000;
/** A standby that has left another one returns to it after some seconds. */
const STAYS_WELL_MS = 10_000;
/** Clocks run at most so much too fast or too slow; less than is allowed for, since two of them differ by twice that. */
const CLOCK_ERROR = 0.015;
/** Apart from the seeds of everything else. */
const CASCADE_SEEDS = 0x2_0000_0000;

/** How a seed is run. */
export interface RunOptions {
  readonly defect?: Defect;
  /** Operators change `durability` and `quorum` meanwhile. */
  readonly changesSettings?: boolean;
  readonly trace?: (line: string) => void;
}

/** What came of it. */
export interface RunResult {
  readonly seed: number;
  readonly violation: string | null;
  readonly profile: string;
  readonly acknowledged: number;
  readonly elections: number;
  readonly events: number;
  readonly ways: ReadonlyMap<string, number>;
}

/** One cluster and what surrounds it. */
export class World {
  readonly agenda = new Agenda();
  readonly network: Network;
  readonly store: SimStore;
  readonly ledger: Ledger;
  readonly nodes: SimNode[] = [];
  readonly defect: Defect;
  readonly machine: Machine;
  readonly trace: ((line: string) => void) | undefined;
  readonly profile: string;
  readonly durability: Durability;
  /** Until everything is repaired. */
  isTroubled = true;
  readonly #changesSettings: boolean;
  readonly #random: Random;
  #entries = 0;

  constructor(seed: number, { defect = {}, changesSettings = false, trace }: RunOptions) {
    const random = new Random(seed);
    this.#random = random;
    this.#changesSettings = changesSettings;
    this.defect = defect;
    const machine = { begin: Product.begin, step: Product.step };
    this.machine = defect.machine?.(machine) ?? machine;
    this.trace = trace && ((line) => trace(`${this.agenda.now.toFixed(1)} ${line}`));
    this.durability = random.weighted<Durability>([
      [6, 'durable'],
      [3, 'available'],
      [1, 'asynchronous'],
    ]);
    this.ledger = new Ledger(this.durability === 'asynchronous');
    this.network = new Network(this.agenda, random.fork());
    const rate = () => 1 + (random.fraction() * 2 - 1) * CLOCK_ERROR;
    this.store = new SimStore(this.agenda, this.network, rate());
    if (defect.recover !== undefined) this.store.recover = defect.recover;
    const count = random.weighted<number>([
      [6, 3],
      [1, 4],
      [2, 5],
    ]);
    const quorum = count === 5 ? random.int(1, 2) : 1;
    // One of more than three may be there for reports alone.
    const unwilling = count > 3 && random.chance(0.5) ? count : 0;
    const upstreams = chooseUpstreams(seed, count);
    for (let i = 1; i <= count; i++) {
      const settings: ClusterSettings = {
        contact: { host: `n${i}`, port: 5432, api: null },
        ...{ node: `n${i}`, priority: i === unwilling ? 0 : random.int(1, 3), mayBegin: i === 1, quorum },
        ...{ durability: this.durability, timing: DEFAULT_TIMING, replicateFrom: upstreams[i] ?? null },
      };
      this.nodes.push(new SimNode(this, settings, rate(), random.fork()));
    }
    const cascade = upstreams.flatMap((upstream, i) => (upstream === null ? [] : `, n${i} from ${upstream}`));
    this.profile = `${count} nodes, ${this.durability}, quorum ${quorum}${cascade.join('')}`;
  }

  node(name: string): SimNode {
    return this.nodes.find((node) => node.name === name)!;
  }

  newEntry(): Entry {
    return { id: ++this.#entries };
  }

  /** Calm, trouble, and then every machine (or enough of them) is well again. */
  run(): void {
    for (const node of this.nodes) {
      this.agenda.in(this.#random.int(0, 500), () => node.powerOn());
      this.#clientsOf(node);
    }
    this.#planFaults();
    if (this.#changesSettings) planChanges(this, this.#random.fork(), CALM_MS + TROUBLE_MS - 1);
    this.#until(CALM_MS + TROUBLE_MS);
    this.#heal();
    const end = this.agenda.now + HEAL_MS;
    while (this.agenda.now < end && this.ledger.violation === null && this.#illness() !== null) {
      this.#until(this.agenda.now + 1000);
    }
    // It must not be well for a moment alone.
    this.#until(this.agenda.now + STAYS_WELL_MS);
    if (this.ledger.violation === null) this.#checkHealed();
  }

  #until(time: number): void {
    this.agenda.run(time, () => this.ledger.violation !== null);
  }

  /** Clients try each node, as those do that believe an old address. */
  #clientsOf(node: SimNode): void {
    const random = this.#random.fork();
    const again = () => {
      if (node.accepts) {
        this.#checkAlone(node);
        node.work.write();
      }
      this.agenda.in(random.int(10, 70), again);
    };
    again();
  }

  #checkAlone(node: SimNode): void {
    if (node.hasLostTime) return;
    for (const other of this.nodes) {
      if (other === node || !other.accepts || other.hasLostTime) continue;
      this.ledger.violate(`${node.name} and ${other.name} accept writes at one time`);
    }
  }

  #planFaults(): void {
    const random = this.#random.fork();
    const choices = Object.entries(FAULTS).map(([name, [weight]]) => [weight, name] as const);
    const count = random.int(1, 14);
    for (let i = 0; i < count; i++) {
      const begins = CALM_MS + random.fraction() * TROUBLE_MS * 0.9;
      const lasts = random.pick([100, 1000, 5000, 15_000]) * (0.5 + random.fraction());
      const name = random.weighted(choices);
      this.agenda.in(begins, () => {
        this.trace?.(`-- ${name}`);
        const undo = FAULTS[name]![1](this, random);
        if (undo === undefined) return;
        this.agenda.in(Math.min(lasts, CALM_MS + TROUBLE_MS - this.agenda.now - 1), () => {
          this.trace?.(`-- no more: ${name}`);
          undo();
        });
      });
    }
  }

  /** Everything is repaired; but one machine may stay away, if the others have all that is needed. */
  #heal(): void {
    this.isTroubled = false;
    this.network.heal();
    if (!this.store.isUp) this.store.restart();
    const lost = this.#random.chance(0.3) ? this.#dispensable() : null;
    if (lost !== null) this.trace?.(`-- ${lost.name} is lost for good`);
    for (const node of this.nodes) {
      node.trap = null;
      node.isDiskStuck = false;
      node.diskMs = 1;
      node.walDelayMs = 0;
      node.thaw();
      node.resumeAgent();
      if (node === lost) node.powerOff();
      else {
        node.powerOn();
        node.startAgent();
      }
    }
  }

  /** A machine without which the rest has every commit, by the promise of the settings: one failure at a time. */
  #dispensable(): SimNode | null {
    if (this.nodes.length > 3 || this.durability !== 'durable' || this.#changesSettings) return null;
    const node = this.#random.pick(this.nodes);
    const areOthersWhole = this.nodes.every((other) => other === node || !other.postgres.isDamaged);
    return areOthersWhole ? node : null;
  }

  #checkHealed(): void {
    const illness = this.#illness();
    if (illness !== null) return this.ledger.violate(`long after the last fault ${illness}`);
    const leader = this.nodes.find(({ agent }) => agent?.name === 'leading')!;
    this.ledger.checkPrimary(leader.name, leader.postgres.wal);
  }

  /** From whom it has to receive: as its operator wants, where that can be and commits have enough others. */
  #upstreamOf({ settings }: NodeState, leader: SimNode): string {
    const wanted = this.nodes.find(({ name }) => name === settings.replicateFrom);
    if (wanted?.agent?.name !== 'following' || wanted.settings.replicateFrom !== null) return leader.name;
    const stays = ({ agent, name, postgres, settings: { priority, replicateFrom } }: SimNode) =>
      agent?.name === 'following' &&
      postgres.upstream === leader.name &&
      priority > 0 &&
      (replicateFrom === null || name > settings.node);
    const others = this.nodes.filter((node) => node.name !== settings.node && stays(node));
    const isSpared =
      settings.priority === 0 || this.durability === 'asynchronous' || others.length >= settings.quorum;
    return isSpared ? wanted.name : leader.name;
  }

  /** What a cluster that is well has not. */
  #illness(): string | null {
    const leaders = this.nodes.filter(({ agent }) => agent?.name === 'leading');
    if (leaders.length !== 1) return `there are ${leaders.length} leaders`;
    if (this.agenda.now - this.ledger.lastAcknowledgedAt > 1000) return 'no commit is acknowledged';
    for (const { agent, postgres, isPowered, name } of this.nodes) {
      if (!isPowered || agent === leaders[0]!.agent) continue;
      if (agent?.name !== 'following') return `${name} is ${agent?.name}`;
      if (postgres.end < leaders[0]!.postgres.end - 100) return `${name} does not stream`;
      const upstream = this.#upstreamOf(agent, leaders[0]!);
      if (postgres.upstream !== upstream)
        return `${name} receives from ${postgres.upstream}, not ${upstream}`;
    }
    return null;
  }
}

/**
 * By a node's number, from whom it is to receive; null: from who leads. Now and then that is nonsense: a node that isn't there,
 * one that receives from another itself.
 */
function chooseUpstreams(seed: number, count: number): (string | null)[] {
  const random = new Random(seed + CASCADE_SEEDS);
  const isCascaded = (i: number) => i > 1 && random.chance(count > 3 ? 0.4 : 0.25);
  const others = (i: number) => [...Array(count + 1).keys()].slice(1).filter((other) => other !== i);
  return Array.from({ length: count + 1 }, (_, i) => {
    if (!isCascaded(i)) return null;
    return random.chance(0.05) ? 'nobody' : `n${random.pick(others(i))}`;
  });
}

/** Runs one seed to its end, or to the first thing that is wrong. */
export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  const world = new World(seed, options);
  world.run();
  const { ledger, agenda, profile } = world;
  return {
    ...{ seed, profile, violation: ledger.violation, events: agenda.done, ways: ledger.ways },
    ...{ acknowledged: ledger.acknowledged.length, elections: ledger.elections },
  };
}
