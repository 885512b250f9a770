/** PostgreSQLs that are nothing but their WAL, for tests of what drives them. */
import type {
  PostgresEffect,
  PostgresFacts,
  PostgresSide,
  PostgresWorld,
} from '../../src/agent/postgres/postgres-side.js';
import type { Answer, Data } from '../../src/cluster/inputs.js';
import type { Lsn, TimelineOrigin } from '../../src/cluster/position.js';

const SYSTEM_IDENTIFIER = '7000000000000000001';
/** How often a primary says who streams. ms. */
const REPORT_MS = 20;

/** All nodes of one cluster: streams are as fast as they are asked for. */
export class FakeNetwork {
  readonly nodes = new Map<string, FakePostgres>();
}

/** One node's. It outlives its agent, as a data folder does. */
export class FakePostgres implements PostgresSide {
  readonly node: string;
  readonly done: PostgresEffect['do'][] = [];
  data: Data;
  isRunning = false;
  isPrimary = false;
  isOpen = false;
  permittedUntil = Number.NEGATIVE_INFINITY;
  follows: string | null = null;
  history: TimelineOrigin[] = [{ timeline: 1, term: 0, from: 0 }];
  lsn: Lsn = 100;
  readonly #network: FakeNetwork;
  #world: PostgresWorld | null = null;
  #reports: NodeJS.Timeout | null = null;

  constructor(network: FakeNetwork, node: string, data: Data) {
    this.#network = network;
    this.node = node;
    this.data = data;
    network.nodes.set(node, this);
  }

  /** A new agent takes it over. */
  open(world: PostgresWorld): this {
    this.#world = world;
    this.#reports ??= setInterval(() => this.#report(), REPORT_MS);
    return this;
  }

  /** kill -9 of the postmaster. */
  kill(): void {
    this.#stop();
    this.#world?.tell({ kind: 'ended' });
  }

  write(): void {
    this.lsn += 10;
  }

  carryOut(effect: PostgresEffect): void {
    this.done.push(effect.do);
    // As the real one: later, and in order.
    setImmediate(() => this.#do(effect));
  }

  facts(): PostgresFacts {
    return {
      ...{ version: '17.2', isRunning: this.isRunning, isPrimary: this.isPrimary },
      timeline: this.history.at(-1)?.timeline ?? null,
      ...{ lsn: this.lsn, replayed: this.lsn, streamsFrom: this.follows, doing: null },
      ...{ problem: null, replicationKey: null },
    };
  }

  async reload(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#reports !== null) clearInterval(this.#reports);
    this.#reports = null;
    this.#world = null;
    this.#stop();
  }

  #do(effect: PostgresEffect): void {
    switch (effect.do) {
      case 'stop':
        this.#stop();
        return this.#answer(effect.id, {
          kind: 'stopped',
          stopped: { data: this.data, systemIdentifier: this.data === 'none' ? null : SYSTEM_IDENTIFIER },
        });
      case 'start':
        this.isRunning = true;
        return this.#answer(effect.id, this.#at());
      case 'follow':
        this.follows = effect.upstream;
        return;
      case 'detach':
        this.#stream();
        this.follows = null;
        return this.#answer(effect.id, this.#at());
      case 'promote':
        this.history = [...this.history, { timeline: effect.above + 1, term: effect.term, from: this.lsn }];
        this.isPrimary = true;
        return this.#answer(effect.id, this.#at());
      case 'synchronize':
        return this.#answer(effect.id, { kind: 'synchronized', lsn: this.lsn });
      case 'open':
        this.isOpen = true;
        return;
      case 'checkpoint':
        return this.#answer(effect.id, { kind: 'checkpointed' });
      case 'hold':
        this.isOpen = false;
        return this.#answer(effect.id, { kind: 'drained' });
      case 'permit':
        this.permittedUntil = effect.until;
        return;
      case 'rewind':
      case 'clone':
        return this.#copy(effect);
    }
  }

  #copy({ do: what, primary, id }: Extract<PostgresEffect, { do: 'rewind' | 'clone' }>): void {
    const from = this.#network.nodes.get(primary);
    this.#stop();
    if (from?.isPrimary !== true) return this.#answer(id, { kind: 'not begun' });
    this.history = from.history;
    this.lsn = from.lsn;
    this.data = 'whole';
    this.#answer(
      id,
      what === 'rewind' ? { kind: 'rewound' } : { kind: 'cloned', systemIdentifier: SYSTEM_IDENTIFIER },
    );
  }

  #stop(): void {
    this.isRunning = false;
    this.isPrimary = false;
    this.isOpen = false;
    this.follows = null;
  }

  /** Receives what its primary has. */
  #stream(): void {
    const from = this.follows === null ? undefined : this.#network.nodes.get(this.follows);
    if (!this.isRunning || from?.isPrimary !== true) return;
    this.history = from.history;
    this.lsn = from.lsn;
  }

  #report(): void {
    this.#stream();
    if (!this.isPrimary) return;
    const standbys = [...this.#network.nodes.values()].filter(
      ({ follows, isRunning }) => follows === this.node && isRunning,
    );
    const streaming = standbys.map(({ node, lsn }) => ({ name: node, flushed: lsn }));
    this.#world?.tell({ kind: 'replication', streaming });
  }

  #at(): Answer {
    return { kind: 'at', position: { history: this.history, lsn: this.lsn } };
  }

  #answer(id: number, answer: Answer): void {
    this.#world?.tell({ kind: 'answer', id, answer });
  }
}
