/** The running process's side of a takeover: hands its listening sockets to whoever may connect to its socket. */
import { once } from 'node:events';
import { lstatSync, rmSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { sendDescriptors } from '../../reactor/descriptor-passing.js';
import { loadAddon } from '../../reactor/load-addon.js';
import type { Operator } from '../operator.js';
import { READY, RELEASED, type TakeoverOffer } from './takeover-socket.js';

/** The file's permissions: whoever may connect gets the ports. */
const OWNER_ONLY_UMASK = 0o177;
/** How long a successor may take from the sockets to being ready. */
const START_MS_MAX = 60_000;

/** What is done when a successor is ready. Resolves when everything has been let go that can be there only once. */
export type LetGo = () => Promise<void>;

export class HandoverServer {
  readonly #server: net.Server;
  readonly #operator: Operator;
  readonly #letGo: LetGo;
  readonly #asking = new Set<Socket>();
  #handedOver = false;

  private constructor(operator: Operator, letGo: LetGo) {
    this.#operator = operator;
    this.#letGo = letGo;
    this.#server = net.createServer((socket) => this.#offer(socket));
  }

  /** Whether descriptors can be passed here: by the native addon, whatever the driver is. */
  static isPossible(): boolean {
    return 'addon' in loadAddon();
  }

  /** Null, with a word in the log, where it can't listen: the gateway serves all the same. */
  static async open(path: string, operator: Operator, letGo: LetGo): Promise<HandoverServer | null> {
    const handover = new HandoverServer(operator, letGo);
    try {
      await handover.#listen(path);
      return handover;
    } catch (error) {
      operator.log.logger.warn(
        `no takeover will be possible: cannot listen on ${path}: ${(error as Error).message}`,
      );
      return null;
    }
  }

  /** Removes the file, and forgets successors that are not ready. */
  close(): void {
    this.#server.close();
    for (const socket of this.#asking) socket.destroy();
  }

  async #listen(path: string): Promise<void> {
    // Whoever starts without taking over has the places to listen, so that a file that is there is a dead one's.
    if (isSocket(path)) rmSync(path);
    const umask = process.umask(OWNER_ONLY_UMASK);
    try {
      this.#server.listen(path);
    } finally {
      process.umask(umask);
    }
    await once(this.#server, 'listening');
    this.#server.unref();
  }

  #offer(socket: Socket): void {
    this.#asking.add(socket);
    socket.on('close', () => this.#asking.delete(socket));
    // It has gone; nothing has changed here.
    socket.on('error', () => {});
    socket.setTimeout(START_MS_MAX, () => socket.destroy());
    // Then there is nothing left to hand over.
    if (this.#operator.isShuttingDown) return void socket.destroy();
    const descriptors = this.#operator.gateway.listeningSockets.map(({ descriptor }) => descriptor);
    const offer: TakeoverOffer = { protocol: 1, pid: process.pid };
    try {
      sendDescriptors(socket, descriptors, JSON.stringify(offer));
    } catch (error) {
      this.#operator.log.logger.error(
        `the listening sockets could not be handed over: ${(error as Error).message}`,
      );
      socket.destroy();
      return;
    }
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
      if (said === READY) void this.#release(socket);
      else if (said.length >= READY.length) socket.destroy();
    });
  }

  async #release(socket: Socket): Promise<void> {
    if (this.#handedOver || this.#operator.isShuttingDown) return void socket.destroy();
    this.#handedOver = true;
    this.#asking.delete(socket);
    try {
      this.#server.close();
      await this.#letGo();
      socket.end(RELEASED);
    } catch (error) {
      this.#operator.log.logger.error(`handing over failed: ${(error as Error).message}`);
      socket.destroy();
    }
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}
