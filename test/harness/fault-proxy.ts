import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './scratch.js';

/** Where a server listens: by TCP, or at a unix socket. */
export type ProxyTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/** A small proxy in front of a server, that can do to connections what networks do. */
export class FaultProxy {
  readonly host = '127.0.0.1';
  /** 0 in front of a unix socket. */
  readonly port: number;
  /** The proxy's own unix socket, in front of one. */
  readonly path: string;
  /** At most so many bytes are passed on in one piece, each in a packet of its own; 0: as they come. */
  pieceBytes = 0;
  /** What the server says comes so many ms later. */
  delayMs = 0;
  /** What has come from the clients, while it is not null. */
  heard: string | null = null;
  /** Where new connections lead. */
  target: ProxyTarget;
  /** Non-null: the first of these in what the server says is replaced by the other, which is as long. */
  disguise: readonly [string, string] | null = null;
  /** While true, nobody hears that the server has closed its side of a connection. */
  hidesEnds = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those of them that lead to the server. */
  readonly #servers = new Set<Socket>();
  #stalled = false;
  #muted = false;
  #refusing = false;

  private constructor(port: number, target: ProxyTarget) {
    this.port = port;
    this.path = 'path' in target ? `${target.path}.proxy` : '';
    this.target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
  }

  static async start(target: ProxyTarget): Promise<FaultProxy> {
    const isLocal = 'path' in target;
    const proxy = new FaultProxy(isLocal ? 0 : await freePort(), target);
    proxy.#server.listen(isLocal ? { path: proxy.path } : { port: proxy.port, host: proxy.host });
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Connections that are open now, of both sides. */
  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) reset(socket);
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
    this.#muted = muted;
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
      reset(client);
      return;
    }
    const server = createConnection({ ...this.target, allowHalfOpen: true });
    this.#servers.add(server);
    server.on('close', () => this.#servers.delete(server));
    client.on('data', (chunk: Buffer) => {
      if (this.heard !== null) this.heard += chunk.toString('latin1');
    });
    this.#pass(client, server);
    this.#pass(server, client);
  }

  #disguised(chunk: Buffer): Buffer {
    if (this.disguise === null) return chunk;
    const [name, other] = this.disguise;
    return Buffer.from(chunk.toString('latin1').replaceAll(name, other), 'latin1');
  }

  #inTime(from: Socket, act: () => void): void {
    if (this.delayMs > 0 && this.#servers.has(from)) setTimeout(act, this.delayMs);
    else act();
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    if (this.#stalled || (this.#muted && this.#servers.has(from))) from.pause();
    from.on('data', (came: Buffer) => {
      const chunk = this.#servers.has(from) ? this.#disguised(came) : came;
      const step = this.pieceBytes > 0 ? this.pieceBytes : chunk.length;
      this.#inTime(from, () => {
        for (let at = 0; at < chunk.length; at += step) to.write(chunk.subarray(at, at + step));
      });
    });
    from.on('end', () => {
      if (!this.hidesEnds || !this.#servers.has(from)) this.#inTime(from, () => to.end());
    });
    from.on('error', () => {});
    from.on('close', (failed) => {
      this.#sockets.delete(from);
      if (failed) reset(to);
      else to.destroySoon();
    });
  }
}

/** A unix socket knows no reset: it is closed. */
function reset(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
