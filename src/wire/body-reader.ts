/**
 * A cursor over one message's body. Every step is checked against the body's end, and throws a
 * {@link ProtocolViolation} in PostgreSQL's words; nothing outside the body is ever read.
 */
import { type Peer, ProtocolViolation } from './protocol-violation.js';
import { decodeText } from './text.js';

export class BodyReader {
  readonly #bytes: Uint8Array;
  readonly #words: DataView;
  readonly #peer: Peer;
  #at = 0;

  /** @param peer who sent the message, and so is to blame when it is malformed. */
  constructor(bytes: Uint8Array, start: number, end: number, peer: Peer) {
    this.#bytes = bytes.subarray(start, end);
    this.#words = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    this.#peer = peer;
  }

  /** Bytes that have not been read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    return this.#words.getUint8(this.#step(1));
  }

  int16(): number {
    return this.#words.getInt16(this.#step(2));
  }

  /** A count of things that follow. */
  uint16(): number {
    return this.#words.getUint16(this.#step(2));
  }

  int32(): number {
    return this.#words.getInt32(this.#step(4));
  }

  /** An object id. */
  uint32(): number {
    return this.#words.getUint32(this.#step(4));
  }

  /** The text before the next zero byte, which is skipped. */
  cstring(): string {
    const zero = this.#bytes.indexOf(0, this.#at);
    if (zero < 0) throw this.violation('invalid string in message');
    const text = decodeText(this.#bytes, this.#at, zero);
    this.#at = zero + 1;
    return text;
  }

  /** A view of the next `length` bytes: valid no longer than the memory that the message stands in. */
  view(length: number): Uint8Array {
    const at = this.#step(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A copy of the next `length` bytes. */
  copy(length: number): Uint8Array {
    return new Uint8Array(this.view(length));
  }

  /** A value behind its Int32 length, as a view; -1 stands for NULL. */
  value(): Uint8Array | null {
    const length = this.int32();
    if (length === -1) return null;
    if (length < 0) throw this.violation(`invalid value length ${length} in message`);
    return this.view(length);
  }

  /** `count` times what `read` reads. */
  list<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let n = 0; n < count; n += 1) items.push(read());
    return items;
  }

  /** Gives the result back if the body ends here. */
  finish<T>(result: T): T {
    if (this.remaining > 0) throw this.violation('invalid message format');
    return result;
  }

  violation(message: string): ProtocolViolation {
    return new ProtocolViolation(this.#peer, message);
  }

  #step(length: number): number {
    if (length < 0 || length > this.remaining) throw this.violation('insufficient data left in message');
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
