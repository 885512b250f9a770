/** Listening by node:net, with a stale socket file out of the way. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import net from 'node:net';

import { SystemError, shortMessage } from './system-errors.js';

/** @throws {SystemError} */
export function listenOnTcp(server: net.Server, ip: string, port: number, backlog: number): Promise<void> {
  return listening(server, { host: ip, port, backlog, ipv6Only: ip.includes(':') });
}

/**
 * Listens on a socket file, replacing one on which nobody listens any more. `mode`: its permission bits.
 * @throws {SystemError}
 */
export async function listenOnSocketFile(
  server: net.Server,
  path: string,
  mode: number | null,
  backlog: number,
): Promise<void> {
  try {
    await listening(server, { path, backlog });
  } catch (error) {
    if ((error as SystemError).code !== 'EADDRINUSE' || !(await isStaleSocket(path))) throw error;
    unlinkSync(path);
    await listening(server, { path, backlog });
  }
  if (mode !== null) chmodSync(path, mode);
}

function listening(server: net.Server, options: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new SystemError(error.code ?? 'EUNKNOWN', shortMessage(error)));
    };
    server.once('error', failed);
    server.listen(options, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** True when the file is a socket whose process has ended without removing it. */
function isStaleSocket(path: string): Promise<boolean> {
  if (!lstatSync(path).isSocket()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
