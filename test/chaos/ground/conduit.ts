/** One connection by way of a proxy: a client, a server, and two lanes between them that can be shut each on its own. */
import type { Socket } from 'node:net';

/** A client whose connection has not come about is heard no further. Bytes. */
const EARLY_MAX = 64 * 1024;

/** What one end sends to the other. A shut lane reads nothing: what was sent waits, and arrives when it is open again. */
class Lane {
  readonly #source: Socket;
  readonly #sink: Socket;
  #isOpen = false;
  /** The source sends no more. Node says so also of one that is paused. */
  #hasEnded = false;
  /** The source is gone in another way. */
  #isBroken = false;

  constructor(source: Socket, sink: Socket) {
    this.#source = source;
    this.#sink = sink;
    source.on('data', (bytes) => {
      if (!sink.write(bytes)) source.pause();
    });
    source.on('end', () => {
      this.#hasEnded = true;
      this.#tell();
    });
    source.on('close', (isFailure) => {
      this.#isBroken = isFailure || !this.#hasEnded;
      this.#tell();
    });
    sink.on('drain', () => this.#flow());
  }

  set(isOpen: boolean): void {
    this.#isOpen = isOpen;
    this.#flow();
    this.#tell();
  }

  #flow(): void {
    if (!this.#isOpen) this.#source.pause();
    else if (!this.#sink.writableNeedDrain) this.#source.resume();
  }

  #tell(): void {
    if (!this.#isOpen) return;
    if (this.#isBroken) this.#sink.resetAndDestroy();
    else if (this.#hasEnded) this.#sink.end();
  }
}

/** Who has connected where, and how the server there is reached. */
export interface Call {
  readonly to: string;
  /** Not read yet. */
  readonly client: Socket;
  /** Begins a connection to the server. */
  readonly dial: () => Socket;
  /** Both ends are gone. */
  readonly over: () => void;
}

export class Conduit {
  readonly to: string;
  /** null: it isn't known. */
  from: string | null = null;
  readonly #call: Call;
  #server: Socket | null = null;
  #lanes: readonly Lane[] = [];
  #early: Buffer[] = [];
  #earlyBytes = 0;

  /** Nothing passes before `set` has opened both lanes once: until then no connection has come about. */
  constructor(call: Call) {
    this.to = call.to;
    this.#call = call;
    const { client } = call;
    client.on('error', () => {});
    client.on('close', () => this.#closed());
    client.on('data', this.#keep);
    client.on('end', this.#leave);
    client.resume();
  }

  /** Opens and shuts: what the client sends, and what the server sends. */
  set(there: boolean, back: boolean): void {
    if (this.#server === null && there && back) this.#join();
    this.#lanes[0]?.set(there);
    this.#lanes[1]?.set(back);
  }

  /** Breaks both ends off. */
  destroy(): void {
    this.#call.client.destroy();
    this.#server?.destroy();
  }

  readonly #keep = (bytes: Buffer): void => {
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > EARLY_MAX) this.#call.client.pause();
  };

  /** Whoever gives a connection up before it has come about, is not heard of at the other end. */
  readonly #leave = (): void => {
    this.#call.client.destroy();
  };

  #join(): void {
    const { client, dial } = this.#call;
    if (client.destroyed) return;
    client.off('data', this.#keep);
    client.off('end', this.#leave);
    client.pause();
    const server = dial();
    server.on('error', () => {});
    server.on('close', () => this.#closed());
    this.#server = server;
    this.#lanes = [new Lane(client, server), new Lane(server, client)];
    for (const bytes of this.#early) server.write(bytes);
    this.#early = [];
  }

  #closed(): void {
    if (this.#call.client.destroyed && this.#server?.destroyed !== false) this.#call.over();
  }
}
