/** Whether clients may come in: closing the doors for certain, and waiting until those who are inside have finished. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { OWN_APPLICATION } from './own-connection.js';
import type { Server } from './server.js';

/** Sessions of gateways that look at a node, and never hold a transaction open. */
const WATCHING = 'sluice: watching';
const CLOSE_MS = 3_000;
const POLL_MS = 3;
const DRAIN_POLL_MS = 10;

/**
 * Ends every session of a client of a PostgreSQL whose new connections are refused already. One that was let in just before
 * may still be logging in: it shows in no view, but as a process.
 */
export async function closeToClients(server: Server): Promise<void> {
  const deadline = performance.now() + CLOSE_MS;
  for (;;) {
    const rows = await server.query<{ pid: number; isClient: boolean }>(
      `SELECT pid, backend_type = 'client backend' AND application_name <> $1 AS "isClient" FROM pg_stat_activity`,
      [OWN_APPLICATION],
    );
    const clients = rows.filter(({ isClient }) => isClient).map(({ pid }) => pid);
    const known = new Set(rows.map(({ pid }) => pid));
    const loggingIn = server.pid === null ? [] : logins(server.pid).filter((pid) => !known.has(pid));
    if (clients.length === 0 && loggingIn.length === 0) return;
    for (const pid of loggingIn) end(pid);
    if (clients.length > 0)
      await server.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [clients]);
    if (performance.now() > deadline) throw new Error('sessions of clients did not end');
    await pause(POLL_MS);
  }
}

/**
 * Processes of the postmaster that are logging in: until they have read the client's first message they look like the
 * postmaster itself, then they say so.
 */
function logins(postmaster: number): number[] {
  const own = commandLine(postmaster);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === postmaster)
    .filter((name) => {
      const line = commandLine(name);
      return line === own || / (?:authentication|startup)\s*$/.test(line);
    })
    .map(Number);
}

function parentOf(pid: string): number | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}

function commandLine(pid: string | number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trimEnd();
  } catch {
    return '';
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended.
  }
}

/**
 * Waits until no transaction of a client runs, twice in a row, and gateways begin none.
 * @param isWanted whether to go on waiting
 * @returns false: it wasn't wanted any more
 */
export async function untilDrained(
  server: Server,
  isHeld: () => boolean,
  isWanted: () => boolean,
): Promise<boolean> {
  for (let quiet = 0; quiet < 2; ) {
    if (!isWanted()) return false;
    const [row] = await server.query<{ busy: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND state <> 'idle' AND application_name <> ALL ($1)) AS busy`,
      [[OWN_APPLICATION, WATCHING]],
    );
    quiet = row?.busy === false && isHeld() ? quiet + 1 : 0;
    if (quiet < 2) await pause(DRAIN_POLL_MS);
  }
  return true;
}
