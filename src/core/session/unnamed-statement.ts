/**
 * A client's unnamed statement: what it is as of the last answer, and what requests that are under way will make of it.
 * It lives across a Sync, when another server connection may serve, so its definition is kept.
 */
import { sameBytes } from '../../wire/bytes.js';
import type { ParameterSet } from '../parameters.js';

/** What a Parse of it has said. */
export interface UnnamedDefinition {
  /** The message's body behind the name. */
  readonly bytes: Buffer;
  /** The client's when it was sent: its text is read by them. */
  readonly parameters: ParameterSet;
  /** What it may leave in its session (`SessionEffect`). */
  readonly effects: number;
}

/** Its client. */
export interface Parsing {
  readonly parameters: ParameterSet;
  parseEffects(bytes: Uint8Array, start: number, end: number): number;
}

export class UnnamedStatement {
  /** The definition as of the last answer; null: there is none. */
  private settled: UnnamedDefinition | null = null;
  /** What unanswered Parse messages will make of it, oldest first; null where it has been destroyed since. */
  private pending: (UnnamedDefinition | null)[] | null = null;
  /** The batch of the newest of them. */
  private batch = 0;

  /** The one that a Bind sent now would mean. */
  get now(): UnnamedDefinition | null {
    const { pending } = this;
    return pending === null || pending.length === 0 ? this.settled : pending[pending.length - 1]!;
  }

  /** A Parse is sent. For a driver that sends the same statement again and again, nothing is allocated or searched here. */
  parse(client: Parsing, bytes: Uint8Array, start: number, end: number, batch: number): UnnamedDefinition {
    const definition = this.known(client, bytes, start, end) ?? {
      bytes: Buffer.from(bytes.subarray(start, end)),
      parameters: client.parameters,
      effects: client.parseEffects(bytes, start, end),
    };
    this.expect(definition, batch);
    return definition;
  }

  /** What it may leave in its session (`SessionEffect`) if it is parsed anew. */
  effectsOf(client: Parsing, bytes: Uint8Array, start: number, end: number): number {
    return this.known(client, bytes, start, end)?.effects ?? client.parseEffects(bytes, start, end);
  }

  /** The present one, if the same is sent once more. */
  private known(
    { parameters }: Parsing,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): UnnamedDefinition | null {
    const latest = this.now;
    const isSame =
      latest !== null &&
      latest.parameters === parameters &&
      latest.bytes.length === end - start &&
      sameBytes(latest.bytes, 0, bytes, start, end - start);
    return isSame ? latest : null;
  }

  /** A simple Query within a batch is sent: it destroys the statement, unless it is skipped. */
  queryInBatch(batch: number): void {
    this.expect(null, batch);
  }

  private expect(definition: UnnamedDefinition | null, batch: number): void {
    this.pending ??= [];
    this.pending.push(definition);
    this.batch = batch;
  }

  /** It is gone for sure. */
  destroy(): void {
    this.settled = null;
    this.pending?.fill(null);
  }

  /** The server has dropped it; what is under way comes after that. */
  dropped(): void {
    this.settled = null;
  }

  /** What has become of the oldest unanswered Parse, or of a Query that destroys it. */
  answered(how: 'parsed' | 'refused' | 'skipped'): void {
    const definition = this.pending?.shift() ?? null;
    // A Parse that is refused has destroyed the unnamed statement all the same.
    if (how !== 'skipped') this.settled = how === 'parsed' ? definition : null;
  }

  /** Whether the Parse of it lies in an earlier batch than this one, and is not answered. */
  isUnsettled(batch: number): boolean {
    return this.pending !== null && this.pending.length > 0 && this.batch !== batch;
  }
}
