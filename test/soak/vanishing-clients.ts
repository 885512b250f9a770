/** Clients that connect and vanish, by FIN or RST, at every phase of a session. */
import { setTimeout as pause } from 'node:timers/promises';
import { buildSslRequest, buildStartup } from '../../src/wire/startup.js';
import type { SeededRandom } from '../fuzz/random.js';
import * as send from '../harness/frontend-message.js';
import { SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { answerScram, saslInitialResponse } from '../harness/scram-login.js';
import { DATABASES, type Ground, many, PASSWORD, type Siege } from './siege.js';

const ANSWER_LIMIT_MS = 30_000;
const LINGER_MS_MAX = 30;

const STARTUP = buildStartup(
  new Map([
    ['user', SUPERUSER],
    ['database', DATABASES.calm],
  ]),
  0,
);
/** The beginning of a TLS record that announces more than comes. */
const CUT_RECORD = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);

type Phase = (client: RawClient, random: SeededRandom) => Promise<void> | void;

/** Before a login is over. */
const EARLY: readonly Phase[] = [
  () => {},
  (client) => client.send(STARTUP.subarray(0, 1)),
  (client, random) => client.send(STARTUP.subarray(0, 1 + random.below(STARTUP.length - 1))),
  (client) => client.send(STARTUP),
  (client) => client.send(STARTUP, saslInitialResponse(Buffer.from('n,,n=,r=abcdefghijklmnopqrstuvwx'))),
  (client) => client.send(buildSslRequest()),
  (client) => client.send(CUT_RECORD),
  async (client) => {
    client.send(buildSslRequest());
    await client.byte();
    client.send(CUT_RECORD);
  },
];

/** After it. */
const LATE: readonly Phase[] = [
  () => {},
  (client) => client.send(send.query('SELECT 1').subarray(0, 7)),
  (client) => client.send(send.query('SELECT 1')),
  (client) => client.send(send.query('SELECT pg_sleep(0.02)')),
  async (client) => {
    await client.query('BEGIN');
  },
  (client) => client.send(send.query('BEGIN'), send.query('SELECT nonsense')),
  (client) => client.send(send.parse('', 'SELECT $1::text'), send.bind('', '', ['x'])),
  (client) => client.send(send.parse('kept', 'SELECT 2'), send.sync()),
  (client) => client.send(send.query('CREATE TEMP TABLE IF NOT EXISTS t (i int); COPY t FROM STDIN')),
  (client) => client.send(send.query("SELECT repeat('x', 1000) FROM generate_series(1, 2000)")),
];

/** @param atOnce how many there are at the same time. */
export function vanishingClients(atOnce: number): Siege {
  return {
    name: 'clients that connect and vanish',
    lay: (ground, stop) => many(atOnce, stop, () => comeAndGo(ground)),
  };
}

async function comeAndGo({ gateway, random, count }: Ground): Promise<void> {
  const comesIn = random.chance(0.6);
  const phase = random.pick(comesIn ? LATE : EARLY);
  let client: RawClient | null = null;
  try {
    client = await RawClient.connect(gateway, { answerLimitMs: ANSWER_LIMIT_MS });
    if (comesIn) {
      client.send(STARTUP);
      await answerScram(client, PASSWORD);
      await client.untilReady();
    }
    await phase(client, random);
    if (random.chance(0.5)) await pause(random.below(LINGER_MS_MAX));
    count('clients that vanished');
  } catch {
    count('clients that were turned away');
    await pause(LINGER_MS_MAX);
  } finally {
    if (random.chance(0.5)) client?.reset();
    else client?.destroy();
  }
}
