/** The new process's side of a takeover: asks the running one for its listening sockets, and tells it when to let go. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { receiveDescriptors } from '../../reactor/descriptor-passing.js';
import type { SystemError } from '../../reactor/system-errors.js';
import { StartError } from '../listen-error.js';
import { type Inheritance, withAddresses } from './inherited-sockets.js';
import { READY, RELEASED, type TakeoverOffer } from './takeover-socket.js';

/** How long the running process may take to hand over, and to let go. */
const OFFER_MS_MAX = 10_000;
const RELEASE_MS_MAX = 10_000;

/** A running gateway that is about to be replaced. */
export interface Predecessor {
  readonly pid: number;
  readonly inheritance: Inheritance;
  /**
   * To be called when this process accepts clients: resolves when the other one accepts none any more. Rejects when it
   * doesn't answer; it then has ended, or goes on beside this one.
   */
  replace(): Promise<void>;
  /** This process can't replace it: it goes on as if nothing had been asked. */
  spare(): void;
}

/**
 * Asks for the sockets. Null when nobody listens at that path. Blocks until the answer comes.
 * @throws {StartError} when the answer makes no sense, or descriptors can't be passed here
 */
export function findPredecessor(path: string): Predecessor | null {
  let received: ReturnType<typeof receiveDescriptors>;
  try {
    received = receiveDescriptors(path, OFFER_MS_MAX);
  } catch (error) {
    const { code, message } = error as SystemError;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return null;
    throw new StartError(`cannot take over from the process at ${path}: ${message}`, { cause: error });
  }
  const { connection, descriptors, message } = received;
  const offer = JSON.parse(message) as TakeoverOffer;
  if (offer.protocol !== 1) {
    connection.destroy();
    throw new StartError(
      `cannot take over from process ${offer.pid}: it speaks another version of the takeover. Stop it first`,
    );
  }
  return {
    pid: offer.pid,
    inheritance: { from: 'predecessor', sockets: withAddresses(descriptors) },
    replace: () => replace(connection, offer.pid),
    spare: () => connection.destroy(),
  };
}

async function replace(connection: Socket, pid: number): Promise<void> {
  connection.setTimeout(RELEASE_MS_MAX, () => connection.destroy(new Error('it takes too long')));
  try {
    connection.write(READY);
    let answer = '';
    connection.on('data', (chunk) => {
      answer += chunk;
    });
    await once(connection, 'end');
    if (answer !== RELEASED) throw new Error('it has ended');
  } catch (error) {
    throw new Error(`process ${pid} has not said that it lets go: ${(error as Error).message}`);
  } finally {
    connection.destroy();
  }
}
