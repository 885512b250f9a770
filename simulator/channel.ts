/** One direction of a model TCP connection: an ordered byte stream that arrives in pieces, late, and not always. */
import type { Random } from './random.js';
import type { CancelTask, Schedule } from './schedule.js';

/** How a network treats its bytes. */
export interface Weather {
  /** Time from writing to arrival, in ms. */
  readonly latencyMsMax: number;
  /** Probability that a piece is tiny (1 to 8 bytes). */
  readonly tinyPieces: number;
  /** Probability that a piece is cut anywhere; otherwise everything that waits arrives at once. */
  readonly cutPieces: number;
  /** Probability that the reader stops for a while before a piece. */
  readonly stalls: number;
  readonly stallMsMax: number;
}

/** The largest piece that arrives at once, in bytes. */
export const PIECE_BYTES_MAX = 16_384;
/** Above this backlog no tiny pieces are made: they would only cost time. */
const TINY_BACKLOG_BYTES_MAX = 400;

export interface ChannelEnd {
  /** A piece has arrived. */
  deliver(piece: Buffer): void;
  /** The other side writes no more (TCP's FIN), and everything before has arrived. */
  end(): void;
}

export class Channel {
  /** Bytes that have not arrived yet. */
  queued = 0;
  /** Bytes ever written, and arrived. */
  written = 0;
  delivered = 0;
  /** Called whenever bytes have left the queue. */
  onProgress: (() => void) | null = null;
  private parts: Buffer[] = [];
  private headOffset = 0;
  private ended = false;
  private closed = false;
  private paused = false;
  /** Pieces that still arrive though the reader has paused. */
  private slack = 0;
  private task: CancelTask | null = null;
  private readonly schedule: Schedule;
  private readonly random: Random;
  private readonly weather: Weather;
  private readonly reader: ChannelEnd;

  constructor(schedule: Schedule, random: Random, weather: Weather, reader: ChannelEnd) {
    this.schedule = schedule;
    this.random = random;
    this.weather = weather;
    this.reader = reader;
  }

  /** Takes the bytes over: the caller must not change them. */
  write(bytes: Buffer): void {
    if (this.closed || this.ended || bytes.length === 0) return;
    this.parts.push(bytes);
    this.queued += bytes.length;
    this.written += bytes.length;
    this.plan(true);
  }

  end(): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.plan(true);
  }

  /** Nothing arrives any more. */
  close(): void {
    this.closed = true;
    this.queued = 0;
    this.parts = [];
    this.task?.();
    this.task = null;
  }

  /** @param slack how many pieces still arrive. */
  pause(slack: number): void {
    if (this.paused) return;
    this.paused = true;
    this.slack = slack;
  }

  resume(): void {
    this.paused = false;
    this.plan(false);
  }

  private plan(fresh: boolean): void {
    if (this.task !== null || this.closed) return;
    if (this.paused && this.slack === 0) return;
    if (this.queued === 0 && !this.ended) return;
    const { weather, random } = this;
    let delay = fresh || random.chance(0.3) ? random.fraction() * weather.latencyMsMax : 0;
    if (random.chance(weather.stalls)) delay += random.fraction() * weather.stallMsMax;
    this.task = this.schedule.after(delay, () => {
      this.task = null;
      this.arrive();
    });
  }

  private arrive(): void {
    if (this.paused) {
      if (this.slack === 0) return;
      this.slack -= 1;
    }
    if (this.queued === 0) {
      if (!this.ended) return;
      this.closed = true;
      this.reader.end();
      return;
    }
    const piece = this.takePiece(Math.min(this.pieceLength(), this.queued));
    this.plan(false);
    this.reader.deliver(piece);
    this.onProgress?.();
  }

  private pieceLength(): number {
    if (this.queued <= TINY_BACKLOG_BYTES_MAX && this.random.chance(this.weather.tinyPieces)) {
      return this.random.int(1, 8);
    }
    if (this.random.chance(this.weather.cutPieces)) {
      return this.random.int(1, Math.min(this.queued, PIECE_BYTES_MAX));
    }
    return PIECE_BYTES_MAX;
  }

  private takePiece(length: number): Buffer {
    const pieces: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const part = this.parts[0]!;
      const take = Math.min(missing, part.length - this.headOffset);
      pieces.push(part.subarray(this.headOffset, this.headOffset + take));
      this.headOffset += take;
      missing -= take;
      if (this.headOffset === part.length) {
        this.parts.shift();
        this.headOffset = 0;
      }
    }
    this.queued -= length;
    this.delivered += length;
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }
}
