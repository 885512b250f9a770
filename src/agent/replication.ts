/** What we ask a primary about replication, by SQL: slots, and who streams. */
import pg from 'pg';
import { SUPERUSER } from './data-directory.js';
import { LOOPBACK } from './ports.js';

const CONNECT_TIMEOUT_MS = 5_000;

/** Runs `work` on a connection of its own to the node on this port of this machine. */
export async function withConnection<T>(port: number, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    host: LOOPBACK,
    port,
    user: SUPERUSER,
    database: 'postgres',
    ssl: false,
    application_name: 'sluice',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // The node may go away at any moment; the query that waits then is rejected, and that is enough.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Whether a slot keeps all the WAL that its standby needs; `lost`: the primary has removed some. */
export type SlotState = 'absent' | 'usable' | 'lost';

export async function slotState(client: pg.Client, slot: string): Promise<SlotState> {
  // The column wal_status came with PostgreSQL 13.
  const { rows } = await client.query<{ status: string | null }>(
    `SELECT to_jsonb(s) ->> 'wal_status' AS status FROM pg_replication_slots s WHERE slot_name = $1`,
    [slot],
  );
  const row = rows[0];
  if (row === undefined) return 'absent';
  return row.status === 'lost' ? 'lost' : 'usable';
}

/** Makes a physical slot that keeps WAL from now on. A slot of that name is replaced. */
export async function recreateSlot(client: pg.Client, slot: string): Promise<void> {
  await dropSlot(client, slot);
  await client.query('SELECT pg_create_physical_replication_slot($1, true)', [slot]);
}

async function dropSlot(client: pg.Client, slot: string): Promise<void> {
  await client.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
}

/** Drops the slots of standbys that don't take part any more: they would only hold WAL back. */
export async function dropSlots(client: pg.Client, slots: readonly string[]): Promise<void> {
  for (const slot of slots) await dropSlot(client, slot);
}

/** The state of a standby's stream as the primary sees it (`catchup`, `streaming`, ...); null: not connected. */
export async function streamState(client: pg.Client, standby: string): Promise<string | null> {
  const { rows } = await client.query<{ state: string }>(
    'SELECT state FROM pg_stat_replication WHERE application_name = $1',
    [standby],
  );
  return rows[0]?.state ?? null;
}
