/**
 * The least that can be called a PostgreSQL client: it logs in without a password, sends simple queries, and
 * notices when the answer has ended. It parses no rows, so that thousands of these, or a result of a gigabyte, cost
 * the measuring side little.
 */
import { connect, type Socket } from 'node:net';
import * as Backend from '../src/wire/backend.js';
import * as Frontend from '../src/wire/frontend.js';
import { DATABASE, USER } from './postgres-under-test.js';

/** A StartupMessage for {@link USER} and {@link DATABASE}. */
export function startupMessage(): Buffer {
  const body = Buffer.from(`user\0${USER}\0database\0${DATABASE}\0\0`);
  const message = Buffer.alloc(8 + body.length);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(Frontend.ProtocolVersion3, 4);
  body.copy(message, 8);
  return message;
}

/** A Query message. */
export function queryMessage(sql: string): Buffer {
  const body = Buffer.from(`${sql}\0`);
  const message = Buffer.alloc(5 + body.length);
  message[0] = Frontend.Query;
  message.writeInt32BE(4 + body.length, 1);
  body.copy(message, 5);
  return message;
}

/** The bytes of `ReadyForQuery`, idle. */
const READY = Buffer.from([Backend.ReadyForQuery, 0, 0, 0, 5, Backend.Idle]);

/**
 * Recognises the end of an answer by its last bytes, across chunks. It looks only at where a chunk ends, so it
 * relies on there being no more than one request under way.
 */
export class AnswerEnd {
  #tail: Buffer = Buffer.alloc(0);

  /** Takes the next chunk; true if it ends in ReadyForQuery. The chunk may be overwritten afterwards. */
  ends(chunk: Uint8Array): boolean {
    if (chunk.length >= READY.length) {
      this.#tail = Buffer.from(chunk.subarray(chunk.length - READY.length));
    } else {
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-READY.length);
    }
    return this.#tail.equals(READY);
  }
}

/** An answer that makes no progress for so long will not come. */
const SILENCE_MS = 30_000;

/** One connection with at most one request under way. */
export class RawClient {
  readonly #socket: Socket;
  readonly #end = new AnswerEnd();
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #head = '';
  /** Bytes received so far. */
  received = 0;

  /** `readBufferBytes`: how much is read at a time, in memory allocated once. */
  constructor(port: number, readBufferBytes: number) {
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(readBufferBytes),
        callback: (length, buffer) => this.#received(buffer.subarray(0, length)),
      },
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('The connection was closed.')));
    this.#socket.setTimeout(SILENCE_MS, () =>
      this.#fail(new Error(`Nothing was received for ${SILENCE_MS / 1000} s.`)),
    );
  }

  #received(chunk: Uint8Array): true {
    if (this.#head.length < 500) this.#head += Buffer.from(chunk.subarray(0, 500)).toString('latin1');
    this.received += chunk.length;
    if (!this.#end.ends(chunk)) return true;
    // The first byte of an answer is a message type; what is wrong is known before anything else is sent.
    if (this.#head.charCodeAt(0) === Backend.ErrorResponse) {
      this.#fail(new Error('The request failed.'));
      return true;
    }
    const settle = this.#settle;
    this.#settle = null;
    settle?.resolve();
    return true;
  }

  #fail(error: Error): void {
    const settle = this.#settle;
    this.#settle = null;
    const said = this.#head.replace(/[^\x20-\x7e]+/g, ' ').trim();
    settle?.reject(new Error(`${error.message}${said === '' ? '' : ` Last answer: ${said}`}`));
  }

  #request(message: Buffer): Promise<void> {
    if (this.#settle !== null) throw new Error('a request is under way');
    this.#head = '';
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(message);
    });
  }

  /** Resolves at the first ReadyForQuery; rejects, with what the server said, if the connection ends before. */
  logIn(): Promise<void> {
    return this.#request(startupMessage());
  }

  /** Resolves when the whole answer has arrived; rejects if it is an error, or if the connection ends before. */
  query(sql: string): Promise<void> {
    return this.#request(queryMessage(sql));
  }

  /** Sends a query whose answer nobody will wait for, and reads nothing from now on. */
  stall(sql: string): void {
    this.#socket.pause();
    this.#socket.write(queryMessage(sql));
  }

  close(): void {
    this.#settle = null;
    this.#socket.destroy();
  }
}
