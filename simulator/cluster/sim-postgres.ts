/** A model of one PostgreSQL: its WAL, which survives crashes up to what was flushed, and who may have what of it. */
import type { StandbyProgress } from '../../src/cluster/inputs.js';
import type { WaitList } from '../../src/cluster/node-state.js';
import type { Position, TimelineOrigin } from '../../src/cluster/position.js';
import type { Entry } from './ledger.js';

/** The first timeline of every cluster. */
const FIRST: TimelineOrigin = { timeline: 1, term: 0, from: 0 };

/** What tells one cluster's data from another's. */
export const SYSTEM_IDENTIFIER = '7000000000000000001';

/** What a primary knows of a standby that streams from it. */
interface Sender {
  readonly connection: number;
  flushed: number;
  heardAt: number;
}

/** What PostgreSQL knows of a timeline. */
function placeOf({ timeline, from }: TimelineOrigin): string {
  return `${timeline} ${from}`;
}

/** A commit that a client waits for. */
interface Waiting {
  readonly entry: Entry;
  readonly lsn: number;
}

/** On disk: `wal` up to `flushed`, `history`, `isDamaged`. The rest goes with the process. */
export class SimPostgres {
  wal: Entry[] = [];
  flushed = 0;
  history: TimelineOrigin[] = [FIRST];
  isDamaged = false;
  /** The history of whom it last asked for WAL: that comes even where the WAL is refused. */
  heardOf: readonly TimelineOrigin[] = [];

  isRunning = false;
  isPrimary = false;
  /** Clients are let in; and then held back. */
  isOpen = false;
  isHeld = false;
  upstream: string | null = null;
  list: WaitList | null = null;
  waiting: Waiting[] = [];
  readonly senders = new Map<string, Sender>();
  /** Tells one run of the process, and one stream, from the next. */
  run = 0;
  stream = 0;
  /** The primary's run that it streams from, while it does. */
  streamsFrom: number | null = null;
  #held: (() => void) | null = null;
  readonly #terms = new Map<string, number>();

  get end(): number {
    return this.wal.length;
  }

  get term(): number {
    return this.history.at(-1)!.term;
  }

  /** As the agent tells it: by the terms that it knows. */
  get position(): Position {
    const history = this.history.map((origin) => ({
      ...origin,
      term: this.#terms.get(placeOf(origin)) ?? 0,
    }));
    return { history, lsn: this.flushed };
  }

  /** Which term began which timeline is kept by the agent, beside the data: with WAL it doesn't come. */
  learn(history: readonly TimelineOrigin[]): void {
    for (const origin of history) this.#terms.set(placeOf(origin), origin.term);
  }

  /** Ends without a chance to write anything. */
  crash(): void {
    this.wal.length = this.flushed;
    this.#end();
  }

  /** Ends with everything on disk. */
  shutDown(): void {
    this.flushed = this.wal.length;
    this.#end();
  }

  #end(): void {
    this.isRunning = false;
    this.isPrimary = false;
    this.isOpen = false;
    this.isHeld = false;
    this.waiting = [];
    this.senders.clear();
    this.#held = null;
    this.leave();
    this.run++;
  }

  /** What PostgreSQL asks of a standby that wants to stream from it: it knows timelines by their numbers. */
  serves(standby: SimPostgres): boolean {
    const wanted = standby.history.at(-1)!.timeline;
    const index = this.history.findIndex(({ timeline }) => timeline === wanted);
    return index !== -1 && standby.end <= (this.history[index + 1]?.from ?? this.flushed);
  }

  /** At its start alone it takes another timeline for its goal: the newest that it has heard of, if that goes on from its WAL. */
  takeNewestTimeline(): void {
    const withWal = (history: readonly TimelineOrigin[]) => history.filter(({ from }) => from < this.end);
    const own = withWal(this.history);
    const isSame = withWal(this.heardOf).map(placeOf).join() === own.map(placeOf).join();
    if (isSame && own.length > 0) this.history = own;
  }

  /** Stops receiving. */
  leave(): void {
    this.upstream = null;
    this.streamsFrom = null;
    this.stream++;
  }

  promote(term: number, above: number, entry: Entry): void {
    this.leave();
    this.flushed = this.wal.length;
    this.isPrimary = true;
    const timeline = 1 + Math.max(above, this.history.at(-1)!.timeline);
    this.history = [...this.history, { timeline, term, from: this.end }];
    this.learn(this.history.slice(-1));
    this.wal.push(entry);
    this.flushed = this.end;
  }

  append(entry: Entry): void {
    this.wal.push(entry);
    this.waiting.push({ entry, lsn: this.end });
  }

  /** Appends what has come by a stream. */
  receive(entries: readonly Entry[], history: readonly TimelineOrigin[]): void {
    this.wal.push(...entries);
    this.history = history.filter(({ from }, i) => i === 0 || from < this.end);
  }

  /** Takes the commits off that may be acknowledged. */
  acknowledgeable(): Waiting[] {
    const done: Waiting[] = [];
    while (this.waiting.length > 0 && this.#isDone(this.waiting[0]!.lsn)) done.push(this.waiting.shift()!);
    if (this.waiting.length === 0) this.#held?.();
    return done;
  }

  #isDone(lsn: number): boolean {
    if (lsn > this.flushed || this.list === null) return false;
    let have = 0;
    for (const name of this.list.standbys) if ((this.senders.get(name)?.flushed ?? -1) >= lsn) have++;
    return have >= this.list.quorum;
  }

  /** Holds new transactions, and says when none runs. */
  hold(drained: () => void): void {
    this.isHeld = true;
    this.#held = () => {
      this.#held = null;
      drained();
    };
    if (this.waiting.length === 0) this.#held();
  }

  /** As pg_stat_replication shows it. */
  streaming(now: number, silenceMs: number): StandbyProgress[] {
    return [...this.senders]
      .filter(([, { heardAt }]) => now - heardAt < silenceMs)
      .map(([name, { flushed }]) => ({ name, flushed }));
  }

  /** Becomes as another one is, with what that one has flushed; whose timelines these are is said by the epoch. */
  copy(from: SimPostgres, lineage: readonly TimelineOrigin[]): void {
    this.#terms.clear();
    this.learn(lineage);
    this.wal = from.wal.slice(0, from.flushed);
    this.flushed = this.end;
    this.history = from.history.filter((origin, i) => i === 0 || origin.from < this.end);
    this.isDamaged = false;
  }
}
