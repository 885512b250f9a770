/** Listening sockets that another process has opened: of the one before us, or of the service manager. */

import { lookup } from 'node:dns/promises';
import { closeSync } from 'node:fs';
import { formatListenAddress, type ListenAddress } from '../../config/listen-address.js';
import { listeningAddress } from '../../reactor/descriptor-passing.js';
import type { ReactorPlace } from '../../reactor/start.js';
import type { Logger } from '../logging.js';

/** What systemd puts into the environment of a service with sockets (sd_listen_fds(3)). */
export interface ActivationEnvironment {
  LISTEN_PID?: string | undefined;
  LISTEN_FDS?: string | undefined;
  LISTEN_FDNAMES?: string | undefined;
}

/** A listening socket, and where it listens. */
export interface InheritedSocket {
  readonly descriptor: number;
  readonly address: ListenAddress;
}

/** Sockets instead of places to listen at; where they come from decides what is done with them. */
export interface Inheritance {
  /** `manager`: they are all there is, and outlive this process. `predecessor`: they serve the places that they fit. */
  readonly from: 'manager' | 'predecessor';
  readonly sockets: readonly InheritedSocket[];
}

/** The first descriptor that systemd hands over. */
const FIRST_DESCRIPTOR = 3;
/** More are nonsense in the environment. */
const DESCRIPTORS_MAX = 64;

/**
 * The sockets that the service manager has opened for this process; null: it has opened none. What it says in the
 * environment is taken out of it, for it doesn't concern programs that are started from here.
 * @throws {SystemError} when there are some and the native addon is missing
 */
export function takeActivatedSockets(environment: ActivationEnvironment = process.env): Inheritance | null {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const) delete environment[name];
  if (Number(pid) !== process.pid || !/^\d{1,5}$/.test(count ?? '')) return null;
  const descriptors = Array.from(
    { length: Math.min(Number(count), DESCRIPTORS_MAX) },
    (_, i) => FIRST_DESCRIPTOR + i,
  );
  const sockets = withAddresses(descriptors);
  return sockets.length === 0 ? null : { from: 'manager', sockets };
}

/** The listening sockets among descriptors; others are closed. */
export function withAddresses(descriptors: readonly number[]): InheritedSocket[] {
  return descriptors.flatMap((descriptor) => {
    const address = listeningAddress(descriptor);
    if (address !== null) return [{ descriptor, address }];
    closeSync(descriptor);
    return [];
  });
}

/** Where the reactor is to listen: with what was inherited, and at the places of the configuration that it leaves. */
export async function reactorPlaces(
  listen: readonly ListenAddress[],
  inheritance: Inheritance | null,
  logger: Logger,
): Promise<ReactorPlace[]> {
  if (inheritance === null) return [...listen];
  const { from, sockets } = inheritance;
  if (from === 'manager') {
    logger.warn('sockets passed from service manager: listen_addr and unix_socket_dir are not looked at');
    return sockets.map(({ descriptor, address }) => ({
      ...address,
      inherited: { descriptor, shared: true },
    }));
  }
  const left = new Set(sockets);
  const places: ReactorPlace[] = [];
  for (const place of listen) {
    const names = new Set((await addressesOf(place)).map(formatListenAddress));
    const fitting = [...left].filter(({ address }) => names.has(formatListenAddress(address)));
    for (const socket of fitting) {
      left.delete(socket);
      places.push({ ...socket.address, inherited: { descriptor: socket.descriptor, shared: false } });
    }
    if (fitting.length === 0) places.push(place);
  }
  for (const { descriptor, address } of left) {
    logger.info(`${formatListenAddress(address)} is not listened on any more`);
    closeSync(descriptor);
  }
  return places;
}

/** A name stands for several addresses, `*` for all of both kinds. */
async function addressesOf(place: ListenAddress): Promise<ListenAddress[]> {
  if ('socketPath' in place) return [place];
  const { host, port } = place;
  if (host === '*') return ['0.0.0.0', '::'].map((any) => ({ host: any, port }));
  const found = await lookup(host, { all: true }).catch(() => [{ address: host }]);
  return found.map(({ address }) => ({ host: address, port }));
}
