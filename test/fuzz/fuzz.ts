/**
 * A fuzzing run: hostile clients attack a gateway in front of a real server, while well-behaved ones use it. Afterwards
 * the gateway must live, have lost no server connection, and take no more memory than before.
 */
import assert from 'node:assert/strict';
import { CertificateAuthority, noCertificates } from '../harness/certificates.js';
import { type Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';
import { carryOut, planAttack } from './attack.js';
import { BYSTANDER_SETUP, Bystander } from './bystander.js';
import { SeededRandom } from './random.js';

export interface FuzzOptions {
  readonly io: Driver;
  readonly seed: number;
  readonly seconds: number;
  /** Only these attacks, one after the other, instead of as many as there is time for. */
  readonly only?: readonly number[];
  readonly poolMode?: 'transaction' | 'session';
}

export interface FuzzReport {
  readonly attacks: number;
  /** Right answers to well-behaved clients. */
  readonly answers: number;
  /** After the first fifth of the time, and at the end. */
  readonly residentBytes: readonly [number, number];
}

const ATTACKERS = 8;
const BYSTANDERS = 6;
const POOL_SIZE = ATTACKERS + BYSTANDERS + 2;
/** The garbage collector may take its time; a leak of a buffer for each attack would be far above. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const NOTES = 'CREATE TABLE notes (id int PRIMARY KEY, body text)';

/** @throws when something was harmed; the message names the attacks of the last moments. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const server = await PostgresServer.start();
  try {
    await server.query(`${NOTES}; ${BYSTANDER_SETUP}`);
    const settings = {
      ...tlsSettings(),
      stats_users: SUPERUSER,
      default_pool_size: POOL_SIZE,
      pool_mode: options.poolMode ?? 'transaction',
      max_prepared_statements: 20,
      log_connections: 0,
      log_disconnections: 0,
    };
    const gateway = await GatewayUnderTest.start({ io: options.io, server, settings });
    try {
      const report = await attackAndWatch(gateway, options);
      await assertUnharmed(server, gateway);
      return report;
    } catch (error) {
      throw new Error(`${(error as Error).stack}\nOn the server:\n${await sessionsOf(server)}`);
    } finally {
      await gateway.stop();
    }
  } finally {
    await server.discard();
  }
}

/** TLS for whoever asks for it, where certificates can be made. */
function tlsSettings(): Record<string, string> {
  if (noCertificates !== false) return {};
  const { certFile, keyFile } = new CertificateAuthority('fuzz').issue('gateway');
  return { client_tls_sslmode: 'allow', client_tls_cert_file: certFile, client_tls_key_file: keyFile };
}

/** What each of the server's sessions does, a line each. */
async function sessionsOf(server: PostgresServer): Promise<string> {
  const sessions = await server.query(
    `SELECT pid, state, wait_event, xact_start, left(query, 100) AS query FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
  );
  return sessions.map((session) => JSON.stringify(session)).join('\n');
}

async function attackAndWatch(gateway: GatewayUnderTest, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, seconds, only } = options;
  const stop = { now: false };
  const recent: number[] = [];
  let attacks = 0;
  let early = 0;
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const bystanders = await Promise.all(
    Array.from({ length: BYSTANDERS }, (_, who) =>
      Bystander.connect(gateway, who, new SeededRandom(seed + who)),
    ),
  );
  const attackInTurn = async () => {
    while (!stop.now) {
      if (only === undefined ? elapsed() > seconds : attacks >= only.length) return;
      const index = only === undefined ? attacks : (only[attacks] as number);
      attacks++;
      recent.push(index);
      if (recent.length > ATTACKERS * 3) recent.shift();
      await carryOut(planAttack(seed, index), gateway);
      const trouble = gateway.trouble();
      if (trouble.length > 0) throw new Error(trouble.join('\n'));
      if (early === 0 && elapsed() > seconds / 5) early = gateway.residentBytes();
    }
  };
  const attackers = Array.from({ length: only === undefined ? ATTACKERS : 1 }, attackInTurn);
  const attacked = Promise.all(attackers).finally(() => {
    stop.now = true;
  });
  try {
    await Promise.all([attacked, ...bystanders.map((bystander) => bystander.work(stop))]);
  } catch (error) {
    stop.now = true;
    await attacked;
    const where = `seed ${seed}, attacks up to ${attacks}, the last ones: ${recent.join(',')}`;
    throw new Error(`${where}\n${(error as Error).stack}\n${gateway.log.slice(-2000)}`);
  }
  const answers = bystanders.reduce((sum, bystander) => sum + bystander.answers, 0);
  return { attacks, answers, residentBytes: [early, gateway.residentBytes()] };
}

/** The whole pool can be used at once, so no server connection was lost; and none was left in a transaction. */
async function assertUnharmed(server: PostgresServer, gateway: GatewayUnderTest): Promise<void> {
  await until('every server connection to be idle', async () => {
    const busy = await server.query(
      `SELECT 1 FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'`,
    );
    return busy.length === 0;
  });
  const clients = await Promise.all(Array.from({ length: POOL_SIZE }, () => RawClient.login(gateway)));
  for (const client of clients) {
    const answer = await client.query('BEGIN');
    assert.equal(answer.at(-1)?.body.toString(), 'T');
  }
  assert.ok((await server.connections()) <= POOL_SIZE);
  for (const client of clients) await client.close();
}

/** Throws when memory has grown by more than a busy process's may. */
export function assertLevel({ residentBytes: [early, late] }: FuzzReport): void {
  const grown = ((late - early) / 1024 / 1024).toFixed(1);
  assert.ok(late - early < GROWTH_BYTES_MAX, `resident memory grew by ${grown} MB`);
}
