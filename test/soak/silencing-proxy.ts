/**
 * A proxy in front of a server, behind which each connection falls silent after some bytes of the server: in the
 * middle of a login, a message or a TLS record, as it happens. Nothing is closed.
 */
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { SeededRandom } from '../fuzz/random.js';
import { freePort } from '../harness/scratch.js';

export class SilencingProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** Connections that have fallen silent. */
  silenced = 0;
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #random: SeededRandom;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, target: { host: string; port: number }, random: SeededRandom) {
    this.port = port;
    this.#target = target;
    this.#random = random;
    this.#server = createServer((client) => this.#join(client));
  }

  static async start(target: { host: string; port: number }, random: SeededRandom): Promise<SilencingProxy> {
    const proxy = new SilencingProxy(await freePort(), target, random);
    proxy.#server.listen(proxy.port, proxy.host);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** From the first bytes of a TLS handshake to some way into a session. */
  #budget(): number {
    const most = this.#random.pick([0, 10, 300, 3000, 30_000, 300_000]);
    return this.#random.below(most + 1);
  }

  #join(client: Socket): void {
    const server = createConnection(this.#target);
    let left = this.#budget();
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
    }
    client.on('close', () => {
      this.#sockets.delete(client);
      server.destroy();
    });
    server.on('close', () => {
      this.#sockets.delete(server);
      if (left > 0) client.destroy();
    });
    client.on('data', (chunk: Buffer) => {
      if (left > 0) server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      if (left > 0) return;
      this.silenced += 1;
      server.pause();
    });
  }
}
