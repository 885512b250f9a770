/** What an agent's commands do to its PostgreSQL, how long that takes, and how WAL gets from a primary to its standbys. */
import type { Effect } from '../../src/cluster/inputs.js';
import { canBeMistaken, type TimelineOrigin } from '../../src/cluster/position.js';
import type { SimNode } from './sim-node.js';
import { type SimPostgres, SYSTEM_IDENTIFIER } from './sim-postgres.js';

/** How often a standby looks for WAL, and reports. ms. */
const STREAM_MS = 10;
/** A standby that has nothing new says so after so long. ms. */
const QUIET_MS = 200;
/** A standby that has said nothing for so long doesn't stream. ms. */
const SILENCE_MS = 1500;
/** One that is refused for so long is stuck. ms. */
const STUCK_MS = 5000;
/** A canary that has not come back in this time means a wedged disk. ms. */
const CANARY_MS = 3000;

type Command = Extract<
  Effect,
  {
    do:
      | 'stop'
      | 'start'
      | 'detach'
      | 'follow'
      | 'promote'
      | 'synchronize'
      | 'open'
      | 'checkpoint'
      | 'hold'
      | 'rewind'
      | 'clone';
  }
>;

/** The commands of one agent, one after the other. */
export class PostgresWork {
  readonly #node: SimNode;
  #queue: Command[] = [];
  #isBusy = false;
  #life = 0;
  #stuckSince: number | null = null;
  #reportedAt = 0;
  /** When WAL last came from whom it follows, or word that there is none. */
  #heardAt = 0;
  #isStreaming: boolean | null = null;
  /** When it was last told that it is stuck. */
  #stuckAt = 0;

  constructor(node: SimNode) {
    this.#node = node;
  }

  /** The agent is gone, with what it wanted. */
  forget(): void {
    this.#queue = [];
    this.#isBusy = false;
    this.#life++;
  }

  add(command: Command): void {
    this.#queue.push(command);
    this.#next();
  }

  /** Several times a second, on a primary: who streams; and whether a canary comes back. */
  reportReplication(): void {
    const { postgres, world, isDiskStuck } = this.#node;
    if (!postgres.isRunning || !postgres.isPrimary) return;
    this.#node.tell({ kind: 'replication', streaming: postgres.streaming(world.agenda.now, SILENCE_MS) });
    this.#stuckSince = isDiskStuck ? (this.#stuckSince ?? world.agenda.now) : null;
    if (this.#stuckSince !== null && world.agenda.now - this.#stuckSince > CANARY_MS) {
      this.#node.tell({ kind: 'wedged' });
    }
  }

  #next(): void {
    if (this.#isBusy) return;
    const command = this.#queue.shift();
    if (command === undefined) return;
    this.#isBusy = true;
    const life = this.#life;
    const done = () => {
      if (life !== this.#life) return;
      this.#isBusy = false;
      this.#next();
    };
    this.#begin(command, done);
  }

  #begin(command: Command, done: () => void): void {
    const node = this.#node;
    const { random, postgres } = node;
    const after = (ms: number, work: () => void) =>
      node.laterInAgent(ms, () => {
        work();
        done();
      });
    switch (command.do) {
      case 'stop':
        if (command.mode === 'fast' && postgres.isRunning) return this.#stopFast(command, done);
        return after(random.int(5, node.isDiskStuck ? 2000 : 80), () => {
          postgres.crash();
          node.answer(command.id, { kind: 'stopped', stopped: node.stopped });
        });
      case 'start':
        return after(random.int(50, random.chance(0.1) ? 3000 : 300), () => this.#start(command.id));
      case 'detach':
        return after(random.int(2, 60), () => {
          if (!postgres.isRunning || node.isDiskStuck) return node.answer(command.id, { kind: 'failed' });
          if (node.world.defect.detaches !== false) postgres.leave();
          postgres.flushed = postgres.end;
          node.answer(command.id, { kind: 'at', position: postgres.position });
        });
      case 'follow': {
        const history = node.agent?.epoch?.value.history ?? [];
        return after(random.int(1, 20), () => this.#follow(command.upstream, history));
      }
      case 'promote':
        return after(random.int(50, 500), () => this.#promote(command));
      case 'synchronize':
        return after(random.int(1, 30), () => {
          if (!postgres.isRunning || node.mishap(0.05)) return node.answer(command.id, { kind: 'failed' });
          postgres.list = { standbys: command.standbys, quorum: command.quorum };
          this.acknowledge();
          node.answer(command.id, { kind: 'synchronized', lsn: postgres.end });
        });
      case 'open':
        return after(0, () => this.#open());
      case 'checkpoint':
        return after(random.int(1, 200), () => {
          // On a disk that is stuck it comes to no end.
          if (!node.isDiskStuck) node.answer(command.id, { kind: 'checkpointed' });
        });
      case 'hold':
        return after(random.int(0, 5), () =>
          postgres.hold(() => node.inAgent(() => node.answer(command.id, { kind: 'drained' }))),
        );
      case 'rewind':
        return this.#replaceData(command, random.int(200, 1500), done);
      case 'clone':
        return this.#replaceData(command, random.int(1000, 5000), done);
    }
  }

  #start(id: number): void {
    const node = this.#node;
    const { postgres } = node;
    if (node.mishap(0.05) || postgres.isDamaged) return node.answer(id, { kind: 'failed' });
    postgres.isRunning = true;
    postgres.takeNewestTimeline();
    node.world.defect.started?.(node);
    node.answer(id, { kind: 'at', position: postgres.position });
  }

  #stopFast({ id, limitMs }: Extract<Command, { do: 'stop' }>, done: () => void): void {
    const node = this.#node;
    const { postgres, world } = node;
    postgres.isHeld = true;
    const began = world.agenda.now;
    const look = () => {
      const isSent = [...postgres.senders.values()].every(
        ({ flushed, heardAt }) => flushed >= postgres.end || world.agenda.now - heardAt > SILENCE_MS,
      );
      const isLate = world.agenda.now - began > limitMs;
      if (!isSent && !isLate) return node.laterInAgent(STREAM_MS, look);
      if (isLate || node.isDiskStuck) postgres.crash();
      else postgres.shutDown();
      node.answer(id, { kind: 'stopped', stopped: node.stopped });
      done();
    };
    look();
  }

  #promote({ id, term, above }: Extract<Command, { do: 'promote' }>): void {
    const node = this.#node;
    const { postgres, world } = node;
    if (!postgres.isRunning || node.isDiskStuck || node.mishap(0.05)) {
      return node.answer(id, { kind: 'failed' });
    }
    postgres.list = null;
    postgres.promote(term, above, world.newEntry());
    node.answer(id, { kind: 'at', position: { history: postgres.history, lsn: postgres.flushed } });
  }

  #open(): void {
    const node = this.#node;
    if (!node.postgres.isRunning || !node.postgres.isPrimary) return;
    node.postgres.isHeld = false;
    if (node.postgres.isOpen) return;
    node.postgres.isOpen = true;
    // One that has stood still with its clock may believe that it leads; it can have nothing acknowledged.
    if (!node.hasLostTime) node.world.ledger.checkPrimary(node.name, node.postgres.wal);
  }

  #replaceData(
    command: Extract<Command, { readonly primary: string; readonly id: number }>,
    ms: number,
    done: () => void,
  ): void {
    const node = this.#node;
    const { postgres, world } = node;
    const isRewind = command.do === 'rewind';
    if (isRewind && world.defect.rewinds === false) {
      postgres.crash();
      world.defect.rewound?.(node, world.node(command.primary));
      node.answer(command.id, { kind: 'rewound' });
      return done();
    }
    const source = world.node(command.primary);
    const lineage = node.agent?.epoch?.value.history ?? [];
    const { run } = source.postgres;
    const isThere = () => {
      const { isPrimary } = source.postgres;
      const isUp = isPrimary && source.postgres.run === run && source.isPowered && !source.isFrozen;
      return (
        isUp && world.network.reaches(node.name, source.name) && world.network.reaches(source.name, node.name)
      );
    };
    postgres.crash();
    const wasBegun = isThere();
    if (wasBegun) postgres.isDamaged = true;
    node.laterInAgent(ms, () => {
      if (!wasBegun) node.answer(command.id, { kind: 'not begun' });
      else if (!isThere() || node.mishap(0.1)) node.answer(command.id, { kind: 'failed' });
      else {
        const { history, flushed: lsn } = postgres;
        if (isRewind && canBeMistaken(source.postgres.history, { history, lsn })) {
          world.ledger.violate(`${node.name} is rewound to other timelines of the same numbers`);
        }
        postgres.copy(source.postgres, lineage);
        const cloned = { kind: 'cloned', systemIdentifier: SYSTEM_IDENTIFIER } as const;
        node.answer(command.id, isRewind ? { kind: 'rewound' } : cloned);
      }
      done();
    });
  }

  #follow(upstream: string, history: readonly TimelineOrigin[]): void {
    const node = this.#node;
    const { postgres, random } = node;
    if (!postgres.isRunning) return;
    postgres.leave();
    postgres.learn(history);
    postgres.upstream = upstream;
    this.#heardAt = node.world.agenda.now;
    this.#isStreaming = null;
    const isWalGone = node.mishap(0.02);
    const stream = postgres.stream;
    const again = () => {
      if (postgres.stream !== stream) return;
      if (isWalGone) node.inAgent(() => node.tell({ kind: 'stream broken', upstream }));
      else this.#stream(node.world.node(upstream));
      this.#tellOfStream(upstream);
      node.later(isWalGone ? 500 : STREAM_MS, again);
    };
    node.later(random.int(10, 150), again);
  }

  /** Whether WAL comes, when that changes. */
  #tellOfStream(upstream: string): void {
    const node = this.#node;
    const isLate = node.world.agenda.now - this.#heardAt > SILENCE_MS;
    const isStreaming = isLate ? false : node.postgres.streamsFrom === null ? this.#isStreaming : true;
    if (isStreaming === null || isStreaming === this.#isStreaming) return;
    this.#isStreaming = isStreaming;
    node.inAgent(() => node.tell({ kind: 'stream', upstream, isThere: isStreaming }));
  }

  /** While it is refused: with another timeline it would not be. */
  #tellIfStuck(upstream: string): void {
    const node = this.#node;
    const { now } = node.world.agenda;
    if (now - Math.max(this.#heardAt, this.#stuckAt) < STUCK_MS) return;
    this.#stuckAt = now;
    node.inAgent(() => node.tell({ kind: 'stream stuck', upstream }));
  }

  /** One look of a standby at its primary: connects, or takes what is new, and says what it has. */
  #stream(primary: SimNode): void {
    const { name, postgres, world } = this.#node;
    const source = primary.postgres;
    const isUp = source.isRunning && primary.isPowered && !primary.isFrozen;
    if (!isUp || !world.network.reaches(name, primary.name) || !world.network.reaches(primary.name, name))
      return;
    if (postgres.streamsFrom !== source.run) {
      if (!this.#connect(source, primary.name)) return;
    }
    const { stream } = postgres;
    const isQuiet = source.flushed === postgres.end && world.agenda.now - this.#reportedAt < QUIET_MS;
    if (isQuiet) return;
    this.#reportedAt = world.agenda.now;
    const entries = source.wal.slice(postgres.end, source.flushed);
    const { history, run } = source;
    const from = postgres.end;
    world.network.send(primary.name, name, () => {
      this.#node.later(this.#node.walDelayMs, () => {
        if (postgres.stream !== stream || !postgres.isRunning || source.run !== run) return;
        this.#heardAt = world.agenda.now;
        if (postgres.end === from) postgres.receive(entries, history);
        this.#flush(() => this.#reportTo(primary, stream, run));
      });
    });
  }

  /** As PostgreSQL does it: it doesn't look whether they have the same WAL. We do. */
  #connect(source: SimPostgres, primary: string): boolean {
    const { postgres, world, name } = this.#node;
    postgres.heardOf = source.history;
    if (!source.serves(postgres)) {
      this.#tellIfStuck(primary);
      return false;
    }
    const differs = postgres.wal.findIndex((entry, i) => source.wal[i] !== entry);
    if (differs !== -1) {
      world.ledger.violate(`${name} follows ${primary}, and has other WAL from ${differs} on`);
      return false;
    }
    postgres.streamsFrom = source.run;
    this.#reportedAt = 0;
    return true;
  }

  #reportTo(primary: SimNode, stream: number, run: number): void {
    const { postgres, world, name } = this.#node;
    if (postgres.stream !== stream) return;
    const { flushed } = postgres;
    world.network.send(name, primary.name, () =>
      primary.later(0, () => {
        if (primary.postgres.run !== run) return;
        const known = primary.postgres.senders.get(name);
        const isOlder = known !== undefined && known.connection === stream && known.flushed > flushed;
        if (isOlder) return;
        primary.postgres.senders.set(name, { connection: stream, flushed, heardAt: world.agenda.now });
        primary.work.acknowledge();
      }),
    );
  }

  /** Gets what is in memory to the disk, unless that is stuck. */
  #flush(done: () => void): void {
    const node = this.#node;
    const { postgres } = node;
    const { run, end } = postgres;
    node.later(node.random.fraction() * node.diskMs, () => {
      if (postgres.run !== run || node.isDiskStuck || postgres.end < end) return;
      postgres.flushed = Math.max(postgres.flushed, end);
      done();
    });
  }

  /** A client's commit. */
  write(): void {
    const node = this.#node;
    node.postgres.append(node.world.newEntry());
    this.#flush(() => this.acknowledge());
  }

  /** Tells clients what has become certain. */
  acknowledge(): void {
    const { postgres, world, isPermitted } = this.#node;
    if (!postgres.isRunning || !postgres.isPrimary || !isPermitted) return;
    const { term } = postgres;
    for (const commit of postgres.acknowledgeable())
      world.ledger.acknowledge({ ...commit, term }, this.#node);
  }
}
