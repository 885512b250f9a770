/** What a client has sent as one (routed-unit.ts), kept as long as somebody else may have to be asked. */
import { copyBytes, latin1 } from '../../wire/bytes.js';
import * as Frontend from '../../wire/frontend.js';
import { AnswerPrelude } from './answer-prelude.js';
import { eachPreparedName } from './routed-unit.js';
import { giveBack, takeBuffer } from './unit-copies.js';

/** Who has sent it. */
interface Sender {
  readonly statements: { forgetName(name: string): void } | null;
  repeat(bytes: Uint8Array, length: number): void;
}

export class SentUnit {
  /** Something of its answer has reached the client. */
  isAnswered = false;
  /** Not all of its messages have passed. */
  isOpen = false;
  private bytes: Uint8Array | null = null;
  private length = 0;
  private readonly prelude = new AnswerPrelude();

  /** It is sent: `bytes[position, position + length)`, with a first message of this type. */
  begin(type: number, bytes: Uint8Array, position: number, length: number): void {
    this.drop();
    this.isOpen = type !== Frontend.Query;
    this.isAnswered = false;
    this.length = length;
    this.bytes = takeBuffer(length);
    copyBytes(bytes, position, position + length, this.bytes, 0);
  }

  /** Another message comes. True: it belongs to it. */
  passes(type: number): boolean {
    if (!this.isOpen) return false;
    this.isOpen = type !== Frontend.Sync;
    return true;
  }

  /** A piece of its answer is for the client. True: it needn't be told yet. */
  holdsBack(bytes: Uint8Array, start: number, end: number): boolean {
    return this.isRepeatable && this.prelude.holds(bytes, start, end);
  }

  /** Its client is told of its answer from now on, and gets what was held back of it. */
  answer(client: Parameters<AnswerPrelude['letGo']>[0]): void {
    this.isAnswered = true;
    this.prelude.letGo(client);
  }

  get isKept(): boolean {
    return this.bytes !== null;
  }

  /** Nothing of it has been answered, and all of it has been sent. */
  get isRepeatable(): boolean {
    return !this.isAnswered && !this.isOpen && this.bytes !== null;
  }

  /** Its client sends it anew; it is kept no more. */
  repeatFor(client: Sender): void {
    const bytes = this.bytes as Uint8Array;
    const { statements } = client;
    this.bytes = null;
    this.prelude.drop();
    eachPreparedName(bytes, this.length, (start, end) => statements?.forgetName(latin1(bytes, start, end)));
    client.repeat(bytes, this.length);
    giveBack(bytes);
  }

  /** It is kept no more, and was sent in vain. */
  takeBackFor(client: { takeBack(bytes: Uint8Array, length: number): void }): void {
    const bytes = this.bytes as Uint8Array;
    this.bytes = null;
    this.prelude.drop();
    client.takeBack(bytes, this.length);
    giveBack(bytes);
  }

  drop(): void {
    if (this.bytes !== null) giveBack(this.bytes);
    this.bytes = null;
    this.prelude.drop();
  }
}
