/**
 * Finds the unix socket of the server that listens at a loopback address, by what the kernel tells everybody (Linux): who has
 * bound the TCP port (/proc/net/tcp, proc(5)), and who owns the socket's file. PostgreSQL listens at both as one user.
 */
import { lstat, readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import path from 'node:path';
import type { LocalSocket, LocalSocketLookup } from '../core/authority.js';
import { parseIpAddress } from '../core/ip-address.js';

/** PostgreSQL's `DEFAULT_PGSOCKET_DIR` in the distributions, and its own. */
const USUAL_FOLDERS = ['/var/run/postgresql', '/run/postgresql', '/tmp'];
const LISTENING = '0A';
const WORD_BYTES = 4;
const IPV4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
/** Users of other user namespaces all look like this one (proc(5), /proc/sys/kernel/overflowuid), and "nobody", too. */
const USUAL_OVERFLOW_UID = 65_534;

/** Null where there is none whose owner is the listener's, or it can't be told. Never rejects. @param own ours */
export async function findLocalSocket(
  { host, port, folder }: LocalSocketLookup,
  own: ReadonlySet<string>,
): Promise<LocalSocket | null> {
  const folders = folder === null ? USUAL_FOLDERS : [folder];
  const found: LocalSocket[] = [];
  for (const place of folders) {
    const file = path.posix.join(place, `.s.PGSQL.${port}`);
    const uid = own.has(file) ? null : await ownerOfSocket(file);
    if (uid !== null) found.push({ path: file, uid });
  }
  if (found.length === 0) return null;
  const uid = await ownerOfListener(host, port);
  return found.find((socket) => socket.uid === uid) ?? null;
}

/** Null: there is no socket. A symbolic link is none: somebody else may have made it. */
async function ownerOfSocket(file: string): Promise<number | null> {
  try {
    const found = await lstat(file);
    return found.isSocket() ? found.uid : null;
  } catch {
    return null;
  }
}

/** The user that a connection to this address reaches; null: nobody, several, or it can't be told. */
async function ownerOfListener(host: string, port: number): Promise<number | null> {
  const address = parseIpAddress(host);
  if (address === null) return null;
  try {
    const [tables, overflow] = await Promise.all([
      Promise.all(
        ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'latin1').catch(() => '')),
      ),
      readFile('/proc/sys/kernel/overflowuid', 'latin1').catch(() => String(USUAL_OVERFLOW_UID)),
    ]);
    const owners = new Set(tables.flatMap((table) => listenersAt(table, address, port)));
    const [owner] = owners;
    if (owners.size !== 1 || owner === Number(overflow)) return null;
    return owner ?? null;
  } catch {
    return null;
  }
}

/**
 * The users who listen where a connection to this address may arrive.
 * @param table the text of /proc/net/tcp or /proc/net/tcp6
 */
export function listenersAt(table: string, address: Uint8Array, port: number): number[] {
  const owners: number[] = [];
  for (const line of table.split('\n').slice(1)) {
    // sl, local_address, rem_address, st, queues, timers, retrnsmt, uid
    const fields = line.trim().split(/\s+/);
    const [, local = '', , state] = fields;
    if (state !== LISTENING) continue;
    const [hex = '', hexPort = ''] = local.split(':');
    if (Number.parseInt(hexPort, 16) === port && reaches(bytesOf(hex), address))
      owners.push(Number(fields[7]));
  }
  return owners;
}

/** Words of 32 bits in the machine's order. */
function bytesOf(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE' && bytes.length % WORD_BYTES === 0) bytes.swap32();
  return bytes;
}

/** An unspecified IPv6 address takes IPv4 connections, too, unless its socket has said otherwise, which isn't told. */
function reaches(bound: Uint8Array, address: Uint8Array): boolean {
  if (bound.every((byte) => byte === 0)) return bound.length >= address.length;
  const wanted = bound.length > address.length ? Uint8Array.from([...IPV4_MAPPED, ...address]) : address;
  return bound.length === wanted.length && bound.every((byte, index) => byte === wanted[index]);
}
