/**
 * A client that speaks the protocol by hand: it sends what it is told, right or wrong, and gives every message that
 * comes back.
 */
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import * as Frontend from '../../src/wire/frontend.js';
import { buildMessage } from '../../src/wire/message-writer.js';
import { buildCancelRequest, buildSslRequest, buildStartup } from '../../src/wire/startup.js';
import { type BackendMessage, describeMessage, takeMessages } from './backend-message.js';
import { DATABASE, SUPERUSER } from './postgres-server.js';
import { answerScram } from './scram-login.js';

/** Patience for one answer, in ms. */
const ANSWER_LIMIT_MS = 10_000;

export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

export interface RawClientOptions {
  /** How long one answer may take. */
  readonly answerLimitMs?: number;
  /** For {@link RawClient.login}: by SCRAM, with this password; otherwise without one. */
  readonly password?: string;
}

interface Waiter {
  readonly ready: () => boolean;
  readonly wake: () => void;
}

export class RawClient {
  /** Messages that came and were not taken yet. */
  readonly arrived: BackendMessage[] = [];
  /** From BackendKeyData; 0 and empty before. */
  processId = 0;
  secret: Buffer = Buffer.alloc(0);
  /** While true, what comes is thrown away unread. */
  discardsAnswers = false;
  /** The other side has closed its direction. */
  peerEnded = false;
  closed = false;
  /** What the system said about the connection's end, if it was not orderly. */
  failure: string | null = null;
  /** What is written to and read from; within TLS not the transport. */
  #socket: Socket;
  readonly #transport: Socket;
  readonly #answerLimitMs: number;
  #rest: Buffer = Buffer.alloc(0);
  #waiter: Waiter | null = null;

  private constructor(socket: Socket, options: RawClientOptions) {
    this.#socket = socket;
    this.#transport = socket;
    this.#answerLimitMs = options.answerLimitMs ?? ANSWER_LIMIT_MS;
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#change(() => (this.peerEnded = true)));
    socket.on('error', (error) => {
      this.failure = error.message;
    });
    socket.on('close', () => this.#change(() => (this.closed = true)));
  }

  /** Connects, and says nothing yet. */
  static connect(to: Endpoint, options: RawClientOptions = {}): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ ...to, allowHalfOpen: true });
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RawClient(socket, options));
      });
    });
  }

  /** Connects and logs in; all messages of the greeting have been taken. */
  static async login(
    to: Endpoint,
    parameters: Readonly<Record<string, string>> = {},
    options: RawClientOptions = {},
  ): Promise<RawClient> {
    const client = await RawClient.connect(to, options);
    try {
      client.startup(parameters);
      if (options.password !== undefined) await answerScram(client, options.password);
      const greeting = await client.untilReady();
      const error = greeting.find((message) => message.type === 'E');
      if (error) throw new Error(`login was refused: ${describeMessage(error)}`);
      return client;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** Asks for TLS, and speaks it from now on, whoever the other side is. Throws when it is refused. */
  async secure(): Promise<void> {
    this.send(buildSslRequest());
    const answer = await this.byte();
    if (answer !== 'S') throw new Error(`TLS was refused: ${answer}`);
    this.#transport.removeAllListeners('data');
    this.#transport.removeAllListeners('end');
    const secure = connectTls({ socket: this.#transport, rejectUnauthorized: false });
    this.#socket = secure;
    let isSecure = false;
    // Not within the event: it comes from inside OpenSSL, and Node.js 24 dies of a transport that is dropped there.
    secure.once('secureConnect', () => setImmediate(() => this.#change(() => (isSecure = true))));
    this.#listen(secure);
    await this.#wait('the TLS handshake', () => isSecure);
  }

  /** Sends a StartupMessage. */
  startup(parameters: Readonly<Record<string, string>> = {}, minor = 0): void {
    const all = new Map(Object.entries({ user: SUPERUSER, database: DATABASE, ...parameters }));
    this.send(buildStartup(all, minor));
  }

  /** Sends bytes in one write. */
  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(parts));
  }

  /** Sends bytes one by one, each in a write of its own, letting the event loop turn between. */
  async sendSlowly(bytes: Uint8Array, pieceBytes = 1): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await new Promise<void>((resolve) => {
        this.#socket.write(bytes.subarray(at, at + pieceBytes), () => setImmediate(resolve));
      });
    }
  }

  /** Runs a simple query to its ReadyForQuery. */
  query(sql: string): Promise<BackendMessage[]> {
    this.send(buildMessage(Frontend.Query, (body) => body.cstring(sql)));
    return this.untilReady();
  }

  /** Takes one byte that is no message: the answer to a request for encryption. */
  async byte(): Promise<string> {
    await this.#wait('a byte', () => this.#rest.length > 0);
    const byte = this.#rest.toString('latin1', 0, 1);
    this.#rest = this.#rest.subarray(1);
    return byte;
  }

  /** Takes the next message; throws when the connection ends before. */
  async next(): Promise<BackendMessage> {
    await this.#wait('a message', () => this.arrived.length > 0);
    return this.arrived.shift() as BackendMessage;
  }

  /** Takes messages up to and with the first of this type. With `patient` false the end of the connection ends it too. */
  async take(type: string): Promise<BackendMessage[]> {
    const at = () => this.arrived.findIndex((message) => message.type === type);
    await this.#wait(`a message of type ${type}`, () => at() >= 0 || this.#isOver);
    const found = at();
    return this.arrived.splice(0, found < 0 ? this.arrived.length : found + 1);
  }

  /** Takes messages up to ReadyForQuery, or up to the end of the connection. Keeps the key that comes with a login. */
  async untilReady(): Promise<BackendMessage[]> {
    const messages = await this.take('Z');
    for (const { type, body } of messages) {
      if (type !== 'K') continue;
      this.processId = body.readInt32BE(0);
      this.secret = Buffer.from(body.subarray(4));
    }
    return messages;
  }

  /** Takes everything up to the end of the connection. */
  async untilEnd(): Promise<BackendMessage[]> {
    await this.#wait('the end of the connection', () => this.#isOver);
    return this.arrived.splice(0);
  }

  /** Sends a cancel request for this client on a connection of its own, and waits for its end. */
  async cancel(to: Endpoint): Promise<void> {
    const client = await RawClient.connect(to);
    client.send(buildCancelRequest(this.processId, this.secret));
    await client.untilEnd();
    client.destroy();
  }

  /** Bytes that came and make no whole message. */
  get restBytes(): number {
    return this.#rest.length;
  }

  /** Closes our direction; the other stays open. */
  end(): void {
    this.#socket.end();
  }

  /** Takes no more bytes from the system until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the session as a well-behaved client does. */
  async close(): Promise<void> {
    if (!this.closed) {
      this.send(buildMessage(Frontend.Terminate, () => {}));
      this.#socket.end();
      await this.#wait('the end of the connection', () => this.#isOver);
    }
    this.#socket.destroy();
  }

  /** Drops the connection at once. */
  destroy(): void {
    this.#socket.destroy();
    this.#transport.destroy();
  }

  /** Drops the connection with a reset instead of an orderly end. */
  reset(): void {
    this.#transport.resetAndDestroy();
    this.#socket.destroy();
  }

  get #isOver(): boolean {
    return this.peerEnded || this.closed;
  }

  #receive(chunk: Buffer): void {
    if (this.discardsAnswers) return;
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#change(() => {
      try {
        this.#rest = takeMessages(bytes, this.arrived);
      } catch (error) {
        this.failure = (error as Error).message;
        this.#socket.destroy();
      }
    });
  }

  #change(change: () => void): void {
    change();
    if (this.#waiter?.ready()) this.#waiter.wake();
  }

  #wait(what: string, ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    if (this.#waiter !== null) throw new Error('only one wait at a time');
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        const seen = this.arrived.map(describeMessage).join('\n');
        finish(() => reject(new Error(`waited ${this.#answerLimitMs} ms for ${what}; arrived:\n${seen}`)));
      }, this.#answerLimitMs);
      const finish = (settle: () => void) => {
        clearTimeout(limit);
        this.#waiter = null;
        settle();
      };
      const over = () => ready() || this.#isOver;
      this.#waiter = {
        ready: over,
        wake: () => {
          const cause = this.failure === null ? '' : ` (${this.failure})`;
          finish(ready() ? resolve : () => reject(new Error(`${what}: the connection ended${cause}`)));
        },
      };
      if (over()) this.#waiter.wake();
    });
  }
}
