/**
 * Cuts a byte stream into PostgreSQL's typed messages (Byte1 type, Int32 length that includes itself, body)
 * without copying what is only passed on.
 *
 * A subclass looks at each header and says what becomes of the message; the reader keeps track of messages that
 * are cut anywhere by chunk boundaries, and joins neighbouring messages that are passed on into one run.
 */

import { copyBytes } from './bytes.js';

/** Bytes of a message's header: type and length. */
export const HEADER_BYTES = 5;

/** Pass the message on, whatever part of it has arrived. */
export const FORWARD = 0;
/** Drop the message. */
export const SWALLOW = 1;
/** Ask again when the whole message has arrived. */
export const WHOLE = 2;
/** Stop in front of this message: {@link FrameReader.resume} goes on with it. */
export const BLOCK = 3;
/** The connection has ended: no further byte matters. */
export const END = 4;
/** Ask again when more of the message has arrived, if not all of it. */
export const MORE = 5;

/** What becomes of a message. */
export type Verdict = 0 | 1 | 2 | 3 | 4 | 5;

/** Reads a big-endian Int32. */
export function readInt32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
}

/**
 * Buffers for incomplete or held messages. Small ones are used again by whichever reader needs one next: under load
 * most requests wait for a server connection, and a new buffer for each would keep the garbage collector busy.
 */
const CARRY_BYTES_MIN = 512;
const SPARE_CARRIES_MAX = 1024;
const spareCarries: Uint8Array[] = [];

function takeCarry(bytes: number): Uint8Array {
  let size = CARRY_BYTES_MIN;
  while (size < bytes) size *= 2;
  return (size === CARRY_BYTES_MIN ? spareCarries.pop() : undefined) ?? new Uint8Array(size);
}

function giveBackCarry(carry: Uint8Array): void {
  if (carry.length === CARRY_BYTES_MIN && spareCarries.length < SPARE_CARRIES_MAX) spareCarries.push(carry);
}

export abstract class FrameReader {
  /** Bytes that can't be judged yet: a piece of a header, a piece of a message wanted whole, or held ones. */
  private carry: Uint8Array | null = null;
  private carryLength = 0;
  /** How long the carry must be to be judged. */
  private want = HEADER_BYTES;
  /** Bytes of the current message's body that have not come yet. */
  private bodyRemaining = 0;
  private bodyForwarded = false;
  /** Where, in the chunk at hand, the bytes begin that are to be passed on; -1: there are none. */
  private runStart = -1;
  /** Nothing is judged while it is true; what arrives is kept. */
  private blocked = false;
  private finished = false;
  /** Set by a subclass that wants {@link FrameReader.betweenMessages} called after the current message. */
  protected interject = false;

  /**
   * Judges the message whose header lies at `position`; of its `total` bytes those up to `end` are there. Called
   * again for the same message after WHOLE and BLOCK, so it must change nothing before it answers one of these.
   */
  protected abstract message(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict;

  /** Takes bytes that are passed on. */
  protected abstract forward(bytes: Uint8Array, start: number, end: number): void;

  /** A length below 4, or one above what the subclass allows. The reader has ended by then. */
  protected abstract invalidLength(type: number, length: number): void;

  /** The largest length word that is accepted. */
  protected abstract lengthMax(): number;

  /** Called on the boundary after a message for which `interject` was set; all its bytes were passed on. */
  protected betweenMessages(): void {}

  /** True on a message boundary with nothing kept. */
  protected get atBoundary(): boolean {
    return this.bodyRemaining === 0 && this.carryLength === 0;
  }

  /** Bytes kept because the reader is blocked, or a message is incomplete. */
  get heldBytes(): number {
    return this.carryLength;
  }

  get isBlocked(): boolean {
    return this.blocked;
  }

  /** True while a message is being passed on of which the rest has not come yet, or not been sent yet. */
  get midMessage(): boolean {
    return (this.bodyRemaining > 0 && this.bodyForwarded) || this.runStart >= 0;
  }

  /** What is still to come of the current message is not passed on. */
  protected dropBody(): void {
    this.bodyForwarded = false;
  }

  /** Judges nothing until {@link FrameReader.resume}. */
  protected block(): void {
    this.blocked = true;
  }

  /** No byte is judged any more; what is kept is let go. */
  protected endReading(): void {
    this.finished = true;
    this.carry = null;
    this.carryLength = 0;
  }

  /** Takes the bytes that arrived. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    let position = start;
    while (position < end && !this.finished) {
      if (this.blocked) {
        this.keep(bytes, position, end);
        return;
      }
      if (this.carryLength > 0) {
        const take = Math.min(this.want - this.carryLength, end - position);
        this.keep(bytes, position, position + take);
        position += take;
        if (this.carryLength >= this.want) this.judgeCarry();
      } else {
        position += this.judge(bytes, position, end);
        if (position < end) this.keep(bytes, position, end);
        return;
      }
    }
  }

  /** Puts whole messages in front of what was not judged yet, on a message boundary; {@link resume} goes on with them. */
  protected putBack(bytes: Uint8Array, length: number): void {
    if (this.bodyRemaining > 0) throw new Error('invariant: a message is put back on a boundary');
    const { carry, carryLength } = this;
    const joined = takeCarry(length + carryLength);
    copyBytes(bytes, 0, length, joined, 0);
    if (carry !== null) {
      copyBytes(carry, 0, carryLength, joined, length);
      giveBackCarry(carry);
    }
    this.carry = joined;
    this.carryLength = length + carryLength;
    this.blocked = true;
  }

  /** What is kept in front of which it is blocked: it begins with a message. Valid until it goes on. */
  protected get kept(): Uint8Array | null {
    return this.carry;
  }

  /** The first whole messages of what is kept, so many bytes, have been dealt with: they are not judged. */
  protected skip(length: number): void {
    const { carry } = this;
    if (carry === null || length > this.carryLength) throw new Error('invariant: what is skipped is there');
    this.carryLength -= length;
    if (this.carryLength > 0) {
      carry.copyWithin(0, length, length + this.carryLength);
      return;
    }
    this.carry = null;
    giveBackCarry(carry);
  }

  /** Goes on after BLOCK with the bytes that were kept. */
  protected resume(): void {
    this.blocked = false;
    if (this.carryLength === 0) return;
    const carry = this.carry as Uint8Array;
    const length = this.carryLength;
    this.carry = null;
    this.carryLength = 0;
    this.receive(carry, 0, length);
    giveBackCarry(carry);
  }

  /** Judges a carry that has what was wanted: exactly one header, or one message. */
  private judgeCarry(): void {
    const carry = this.carry as Uint8Array;
    const length = this.carryLength;
    this.carry = null;
    this.carryLength = 0;
    const used = this.judge(carry, 0, length);
    if (used === length || this.finished) {
      giveBackCarry(carry);
      return;
    }
    // Either more of this message is wanted, or the reader was blocked in front of it.
    this.carry = carry;
    this.carryLength = length;
  }

  /** Judges messages from `start` on; returns how many bytes it has dealt with. */
  private judge(bytes: Uint8Array, start: number, end: number): number {
    let position = start;
    while (position < end) {
      if (this.bodyRemaining > 0) {
        position = this.passBody(position, end);
        continue;
      }
      if (this.interject) this.callBetween(bytes, position);
      if (end - position < HEADER_BYTES) {
        this.want = HEADER_BYTES;
        break;
      }
      const type = bytes[position]!;
      const length = readInt32(bytes, position + 1);
      if (length < 4 || length > this.lengthMax()) {
        this.flushRun(bytes, position);
        this.endReading();
        this.invalidLength(type, length);
        return end - start;
      }
      const verdict = this.message(type, length + 1, bytes, position, end);
      if (verdict === FORWARD) {
        if (this.runStart < 0) this.runStart = position;
        position = this.beginBody(position, end, length + 1, true);
      } else if (verdict === SWALLOW) {
        this.flushRun(bytes, position);
        position = this.beginBody(position, end, length + 1, false);
      } else if (verdict === END) {
        this.flushRun(bytes, position);
        this.endReading();
        return end - start;
      } else {
        if (verdict === WHOLE) this.want = length + 1;
        else if (verdict === MORE) this.want = Math.min(length + 1, 2 * (end - position) + HEADER_BYTES);
        else this.blocked = true;
        break;
      }
    }
    this.flushRun(bytes, position);
    if (this.interject && this.bodyRemaining === 0) this.callBetween(bytes, position);
    return position - start;
  }

  private beginBody(position: number, end: number, total: number, forwarded: boolean): number {
    const available = Math.min(total, end - position);
    this.bodyRemaining = total - available;
    this.bodyForwarded = forwarded;
    return position + available;
  }

  private passBody(position: number, end: number): number {
    const available = Math.min(this.bodyRemaining, end - position);
    if (this.bodyForwarded && this.runStart < 0) this.runStart = position;
    this.bodyRemaining -= available;
    return position + available;
  }

  private callBetween(bytes: Uint8Array, position: number): void {
    this.flushRun(bytes, position);
    this.interject = false;
    this.betweenMessages();
  }

  /**
   * Passes on what precedes `position`, so that something else can be sent behind it.
   * @param more bytes of the message at `position` that are passed on with it; that message is to be swallowed then
   */
  protected flushRun(bytes: Uint8Array, position: number, more = 0): void {
    const start = this.runStart < 0 ? position : this.runStart;
    this.runStart = -1;
    if (start < position + more) this.forward(bytes, start, position + more);
  }

  /**
   * For a message that is passed on with another beginning: after the subclass has sent that, what follows is
   * passed on from `position`, which lies within the message being judged. The verdict must be FORWARD.
   */
  protected forwardFrom(position: number): void {
    this.runStart = position;
  }

  private keep(bytes: Uint8Array, start: number, end: number): void {
    const length = this.carryLength + (end - start);
    let carry = this.carry;
    if (carry === null || carry.length < length) {
      const larger = takeCarry(Math.max(length, this.blocked ? 0 : Math.min(this.want, length * 2)));
      if (carry !== null) {
        copyBytes(carry, 0, this.carryLength, larger, 0);
        giveBackCarry(carry);
      }
      carry = larger;
      this.carry = carry;
    }
    copyBytes(bytes, start, end, carry, this.carryLength);
    this.carryLength = length;
  }
}
