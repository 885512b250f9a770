/**
 * What an idle client costs in a pooler's resident memory: the difference that some thousand clients make, first
 * when they have only logged in, then when each has run a query.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from './cpu-time.js';
import type { Target } from './poolers.js';
import { RawClient } from './raw-client.js';

/** Figures of one pooler, per client in bytes. */
export interface IdleCost {
  /** Resident memory before the clients came. */
  readonly baseBytes: number;
  readonly loggedInBytes: number;
  readonly afterQueryBytes: number;
}

const AT_ONCE = 100;
const READ_BUFFER_BYTES = 1024;
/** Few at a time, since what a pooler keeps for these would not be counted for those that come after. */
const WARM_UP_CLIENTS = 20;
const WARM_UP_ROUNDS = 20;
/** Time for buffers to be given back and for garbage to be collected. */
const SETTLE_MS = 2000;

/** How many file descriptors a process that is started here may have open. */
export async function descriptorLimit(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'latin1');
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(limits);
  if (match === null) throw new Error('no "Max open files" in /proc/self/limits');
  return match[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(match[1]);
}

async function inGroups<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    await Promise.all(items.slice(start, start + AT_ONCE).map(action));
  }
}

function connect(target: Target, count: number): RawClient[] {
  return Array.from({ length: count }, () => new RawClient(target.port, READ_BUFFER_BYTES));
}

/** Connects `count` clients, a hundred at a time. */
async function logIn(target: Target, count: number, clients: RawClient[]): Promise<void> {
  while (clients.length < count) {
    const group = connect(target, Math.min(AT_ONCE, count - clients.length));
    clients.push(...group);
    await Promise.all(group.map((client) => client.logIn()));
  }
}

/** Measures a pooler that was started for this. Throws if a client can't log in or gets an error. */
export async function measureIdleClients(target: Target, count: number): Promise<IdleCost> {
  if (target.pid === null) throw new Error(`${target.name} is not a pooler`);
  const { pid } = target;
  const clients: RawClient[] = [];
  const closeAll = (): void => {
    for (const client of clients) client.close();
    clients.length = 0;
  };
  try {
    // Server connections, and code that is compiled when it is first used, belong to the base.
    for (let round = 0; round < WARM_UP_ROUNDS; round++) {
      await logIn(target, WARM_UP_CLIENTS, clients);
      await inGroups(clients, (client) => client.query('SELECT 1'));
      closeAll();
    }
    await sleep(SETTLE_MS);
    const baseBytes = await residentBytes(pid);
    await logIn(target, count, clients);
    await sleep(SETTLE_MS);
    const loggedIn = await residentBytes(pid);
    await inGroups(clients, (client) => client.query('SELECT 1'));
    await sleep(SETTLE_MS);
    const afterQuery = await residentBytes(pid);
    return {
      baseBytes,
      loggedInBytes: (loggedIn - baseBytes) / count,
      afterQueryBytes: (afterQuery - baseBytes) / count,
    };
  } catch (error) {
    throw target.failure() ?? error;
  } finally {
    closeAll();
  }
}
