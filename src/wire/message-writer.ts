/**
 * Builds messages into one growing buffer. A writer may be kept and reused: several messages can stand behind each other
 * in it, to be sent with one call, and `reset` makes it empty without giving the memory back.
 */
import {
  INITIAL_WRITER_BYTES,
  MAX_COUNT_16,
  MAX_MESSAGE_BYTES,
  MAX_RETAINED_WRITER_BYTES,
} from './limits.js';
import { ProtocolViolation } from './protocol-violation.js';
import { SqlState } from './sqlstate.js';
import { encodeText, hasEscapedBytes } from './text.js';

export class MessageWriter {
  #buffer: Buffer;
  #length = 0;
  /** Where the open message's length word stands; -1: no message is open. */
  #lengthAt = -1;

  constructor(initialBytes: number = INITIAL_WRITER_BYTES) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** The memory that is written to; only `[0, length)` has a meaning. Replaced when it grows: don't keep it. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Bytes written so far, of all messages. */
  get length(): number {
    return this.#length;
  }

  /** Opens a message with this type code; {@link end} closes it. */
  begin(type: number): this {
    this.#open(5);
    this.#buffer[this.#length] = type;
    this.#lengthAt = this.#length + 1;
    this.#length += 5;
    return this;
  }

  /** Opens a packet without a type code, as a client begins with. */
  beginUntyped(): this {
    this.#open(4);
    this.#lengthAt = this.#length;
    this.#length += 4;
    return this;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
    return this;
  }

  /** Signed or unsigned; throws {@link ProtocolViolation} for what 16 bits can't hold (a count that is too high). */
  int16(value: number): this {
    if (value < -0x8000 || value > MAX_COUNT_16) throw tooLarge(`${value} does not fit into 16 bits`);
    this.#reserve(2);
    this.#buffer[this.#length] = value >> 8;
    this.#buffer[this.#length + 1] = value;
    this.#length += 2;
    return this;
  }

  /** Signed or unsigned (object ids go up to 2^32 - 1). */
  int32(value: number): this {
    this.#reserve(4);
    this.#putInt32(this.#length, value);
    this.#length += 4;
    return this;
  }

  /**
   * The text and a zero byte. Throws {@link ProtocolViolation} when the text has a zero byte itself: it would end
   * the field early, and turn the rest into other fields.
   */
  cstring(text: string): this {
    if (text.includes('\0')) throw new ProtocolViolation('self', 'a string with a zero byte cannot be sent');
    return this.text(text).byte(0);
  }

  /** The text without a terminator. */
  text(text: string): this {
    if (hasEscapedBytes(text)) return this.bytes(encodeText(text));
    // UTF-8 needs at most three bytes for one UTF-16 unit, so that short texts need no counting first.
    const most = text.length * 3;
    this.#reserve(most <= MAX_RETAINED_WRITER_BYTES ? most : Buffer.byteLength(text, 'utf8'));
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
    return this;
  }

  bytes(source: Uint8Array, start = 0, end: number = source.length): this {
    this.#reserve(end - start);
    this.#buffer.set(
      start === 0 && end === source.length ? source : source.subarray(start, end),
      this.#length,
    );
    this.#length += end - start;
    return this;
  }

  /** Closes the open message by filling its length in. */
  end(): this {
    if (this.#lengthAt < 0) throw new ProtocolViolation('self', 'there is no open message to end', INTERNAL);
    this.#putInt32(this.#lengthAt, this.#length - this.#lengthAt);
    this.#lengthAt = -1;
    return this;
  }

  /** An exact copy of everything written; the writer is empty afterwards. */
  take(): Buffer {
    if (this.#lengthAt >= 0) throw new ProtocolViolation('self', 'a message is still open', INTERNAL);
    const taken = Buffer.allocUnsafeSlow(this.#length);
    this.#buffer.copy(taken, 0, 0, this.#length);
    this.reset();
    return taken;
  }

  /** Forgets what was written, also an open message. Memory beyond a bound is given back. */
  reset(): void {
    this.#length = 0;
    this.#lengthAt = -1;
    if (this.#buffer.length > MAX_RETAINED_WRITER_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(INITIAL_WRITER_BYTES);
    }
  }

  #open(headerBytes: number): void {
    if (this.#lengthAt >= 0) throw new ProtocolViolation('self', 'a message is still open', INTERNAL);
    this.#reserve(headerBytes);
  }

  #putInt32(at: number, value: number): void {
    const buffer = this.#buffer;
    buffer[at] = value >> 24;
    buffer[at + 1] = value >> 16;
    buffer[at + 2] = value >> 8;
    buffer[at + 3] = value;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    if (needed > MAX_MESSAGE_BYTES) throw tooLarge(`a message of ${needed} bytes is too long`);
    const grown = Buffer.allocUnsafeSlow(
      Math.min(Math.max(needed, this.#buffer.length * 2), MAX_MESSAGE_BYTES),
    );
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** One message of this type, with the body that `fill` writes. */
export function buildMessage(type: number, fill: (body: MessageWriter) => void): Buffer {
  const writer = new MessageWriter(64).begin(type);
  fill(writer);
  return writer.end().take();
}

/** One packet without a type code. */
export function buildUntyped(fill: (body: MessageWriter) => void): Buffer {
  const writer = new MessageWriter(64).beginUntyped();
  fill(writer);
  return writer.end().take();
}

const INTERNAL = { sqlstate: SqlState.internal_error };

function tooLarge(message: string): ProtocolViolation {
  return new ProtocolViolation('self', message, { sqlstate: SqlState.program_limit_exceeded });
}
