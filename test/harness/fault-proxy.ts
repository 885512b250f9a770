import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './scratch.js';

/** A small TCP proxy in front of a server, that can do to connections what networks do. */
export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** At most so many bytes are passed on in one piece, each in a packet of its own; 0: as they come. */
  pieceBytes = 0;
  /** What has come from the clients, while it is not null. */
  heard: string | null = null;
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #sockets = new Set<Socket>();
  /** Those of them that lead to the server. */
  readonly #servers = new Set<Socket>();
  #stalled = false;
  #refusing = false;

  private constructor(port: number, target: { host: string; port: number }) {
    this.port = port;
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
  }

  static async start(target: { host: string; port: number }): Promise<FaultProxy> {
    const proxy = new FaultProxy(await freePort(), target);
    proxy.#server.listen(proxy.port, proxy.host);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Connections that are open now, of both sides. */
  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** While true, connections are kept, but nothing passes. */
  stall(stalled: boolean): void {
    this.#stalled = stalled;
    for (const socket of this.#sockets) {
      if (stalled) socket.pause();
      else socket.resume();
    }
  }

  /** While true, nothing that the server says reaches anybody. */
  mute(muted: boolean): void {
    for (const socket of this.#servers) {
      if (muted) socket.pause();
      else socket.resume();
    }
  }

  /** While true, new connections are reset at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = createConnection({ ...this.#target, allowHalfOpen: true });
    this.#servers.add(server);
    server.on('close', () => this.#servers.delete(server));
    client.on('data', (chunk: Buffer) => {
      if (this.heard !== null) this.heard += chunk.toString('latin1');
    });
    this.#pass(client, server);
    this.#pass(server, client);
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    if (this.#stalled) from.pause();
    from.on('data', (chunk: Buffer) => {
      const step = this.pieceBytes > 0 ? this.pieceBytes : chunk.length;
      for (let at = 0; at < chunk.length; at += step) to.write(chunk.subarray(at, at + step));
    });
    from.on('end', () => to.end());
    from.on('error', () => {});
    from.on('close', (failed) => {
      this.#sockets.delete(from);
      if (failed) to.resetAndDestroy();
      else to.destroySoon();
    });
  }
}
