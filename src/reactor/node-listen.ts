/** Listening by node:net, with a stale socket file out of the way. */
import { chmodSync, linkSync, lstatSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import net from 'node:net';

import { loadAddon } from './load-addon.js';
import { SystemError, shortMessage, systemError } from './system-errors.js';

/** node:net ignores the option `reusePort` before these versions. */
export const KNOWS_REUSE_PORT =
  isAtLeast(process.versions.node, 22, 12) && !process.versions.node.startsWith('23.0.');

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ours = 0, oursMinor = 0] = version.split('.').map(Number);
  return ours > major || (ours === major && oursMinor >= minor);
}

/** @throws {SystemError} */
export function listenOnTcp(
  server: net.Server,
  { ip, port, reusePort }: { readonly ip: string; readonly port: number; readonly reusePort?: boolean },
  backlog: number,
): Promise<void> {
  const options = { host: ip, port, backlog, ipv6Only: ip.includes(':') };
  return listening(server, reusePort ? ({ ...options, reusePort } as net.ListenOptions) : options);
}

/** @throws {SystemError} */
export function listenOnDescriptor(server: net.Server, fd: number, backlog: number): Promise<void> {
  return listening(server, { fd, backlog } as net.ListenOptions);
}

/** An open listener. */
export interface NodeListener {
  readonly server: net.Server;
  /** Its socket file; null: TCP. */
  readonly socketPath: string | null;
  /** libuv has opened its socket file, and removes that when it is closed. */
  readonly isOfLibuv: boolean;
  /** Others go on with it when it is closed here. */
  readonly shared: boolean;
}

/** Stops accepting; the socket file goes or stays. */
export function closeListener({ server, socketPath, isOfLibuv }: NodeListener, keepsFile: boolean): void {
  if (socketPath === null || isOfLibuv !== keepsFile) {
    server.close();
  } else if (!isOfLibuv) {
    server.close();
    rmSync(socketPath, { force: true });
  } else {
    const aside = `${socketPath}.${process.pid}`;
    rmSync(aside, { force: true });
    linkSync(socketPath, aside);
    server.close();
    renameSync(aside, socketPath);
  }
}

/**
 * Listens on a socket file, replacing one on which nobody listens any more. `mode`: its permission bits. With the addon it is
 * not libuv's: libuv would remove it when a successor has it, and for an instant clients would find none.
 * @returns whether libuv has opened it
 * @throws {SystemError}
 */
export async function listenOnSocketFile(
  server: net.Server,
  path: string,
  mode: number | null,
  backlog: number,
): Promise<boolean> {
  const loaded = loadAddon();
  if ('reason' in loaded) {
    await listenByLibuv(server, path, mode, backlog);
    return true;
  }
  const descriptor = loaded.addon.bindSocketFile(path, mode ?? -1, backlog);
  if (descriptor < 0) throw systemError(-descriptor);
  await listenOnDescriptor(server, descriptor, backlog);
  return false;
}

async function listenByLibuv(
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
