/** One of a database's servers, as routing knows it. */
import type { Io } from '../io.js';
import type { NodeSettings } from '../settings.js';
import { NOT_YET, type NodeRole } from './topology.js';
import { NO_POSITION } from './wal-position.js';

/** Of the average latency, the newest read makes up one part in so many. */
const LATENCY_PARTS = 16;
/** The same for questions: there are four a second at least. */
const QUESTION_PARTS = 8;
/** What a node is taken to need before anything has run there, and at least, in ms. */
const LATENCY_MS_MIN = 0.1;
const LATENCY_MS_MAX = 1000;
/** An average is halved for each such time in which nothing has ended, in ms: a slow node gets a chance to show that it is not. */
const LATENCY_FADES_MS = 2000;

/** Who watches it, and hears what has happened elsewhere. */
export interface NodeNews {
  /** Looks at once what has become of it. */
  lost(): void;
  /** It was a standby, and has been promoted. */
  leftRecovery(): void;
}

export class RouteNode {
  settings: NodeSettings;
  role: NodeRole = 'unknown';
  /** Why it gets nothing; null: it may serve. For people. */
  reason: string | null = NOT_YET;
  /** What it has replayed, as it has said last: the truth is there or further on. */
  replayed = NO_POSITION;
  /** Reads in flight. */
  outstanding = 0;
  /** Reads that were sent there. */
  reads = 0;
  /** Since when it may serve, in ms; its share grows from there. */
  servesSince = Number.NEGATIVE_INFINITY;
  private hasServed = false;
  /** What it has been given, in ms of its time: who has been given least is next. */
  given = 0;
  /** How long it takes to answer what takes no time, in ms: an average. */
  questionMs = 0;
  private questions = 0;
  private averageMs = LATENCY_MS_MIN;
  private endedAt = 0;
  private readonly clock: Pick<Io, 'now'>;
  private readonly watch: NodeNews;

  constructor(settings: NodeSettings, clock: Pick<Io, 'now'>, watch: NodeNews) {
    this.settings = settings;
    this.clock = clock;
    this.watch = watch;
  }

  /** A standby that may get reads, as far as its role goes. */
  get mayServe(): boolean {
    return this.role === 'standby' && this.reason === null && this.settings.weight > 0;
  }

  /** It may serve from now on (in ms); one that comes back begins slowly. */
  serves(now: number): void {
    if (this.hasServed) this.servesSince = now;
    this.hasServed = true;
  }

  /** It has answered a question of the gateway's own, after so many ms. */
  answeredQuestion(ms: number): void {
    this.questions = Math.min(this.questions + 1, QUESTION_PARTS);
    this.questionMs += (ms - this.questionMs) / this.questions;
  }

  /** Of so many ms that it has taken to answer a read, those that it was at it: not the way there, nor until a process woke up. */
  ownMs(ms: number): number {
    return Math.max(0, ms - this.questionMs);
  }

  /** A read goes there. */
  begun(): void {
    this.outstanding += 1;
    this.reads += 1;
  }

  /** Its answer has come, after so many ms, or will not come. */
  ended(ms: number): void {
    this.outstanding -= 1;
    this.averageMs += (Math.min(ms, LATENCY_MS_MAX) - this.averageMs) / LATENCY_PARTS;
    this.endedAt = this.clock.now();
  }

  /** A connection to it was lost, or could not be opened. */
  failed(): void {
    this.watch.lost();
  }

  /** A session there has been told that it is no standby any more. */
  leftRecovery(): void {
    this.watch.leftRecovery();
  }

  /** How long a read takes there, in ms. */
  latencyMs(now: number): number {
    const faded = this.averageMs * 0.5 ** Math.floor((now - this.endedAt) / LATENCY_FADES_MS);
    return Math.max(LATENCY_MS_MIN, faded);
  }
}
