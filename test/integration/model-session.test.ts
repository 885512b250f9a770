/** The simulator's model of a session against PostgreSQL itself: the same statements, the same answers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ClientStateWork, CUSTOM_NAMES } from '../../simulator/client-state-work.js';
import * as Packets from '../../simulator/packets.js';
import { makePlan } from '../../simulator/plan.js';
import { PostgresSession } from '../../simulator/postgres-session.js';
import { Random } from '../../simulator/random.js';
import { SERVER_DEFAULTS } from '../../simulator/session-parameters.js';
import { describePacket } from '../../simulator/trace.js';
import { probeText, readProbeRow } from '../../src/core/server/state-probe.js';
import * as Backend from '../../src/wire/backend.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';

const SESSIONS = 20;
const BATCHES = 40;
const CLIENT = 1;
/** In pg_catalog, since sessions change their search_path. */
const SETUP = `
  CREATE FUNCTION pg_catalog.fill(size int) RETURNS text LANGUAGE sql RETURN repeat('f', size);
  CREATE FUNCTION pg_catalog.fail(token text) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'division by zero (%)', token USING ERRCODE = '22012'; END $$;
  CREATE ROLE r1 SUPERUSER`;

/** A message in a form that is the same for both. */
function comparable(message: Packets.Packet): string | null {
  const { type, bytes } = message;
  if (type === Backend.ParameterStatus && !SERVER_DEFAULTS.has(Packets.readCstring(bytes, 5)[0])) return null;
  // Who is notified is the model server's to say, which has other sessions, too (simulator/notifications.ts).
  if (type === Backend.NotificationResponse) return null;
  if (type === Backend.RowDescription) return `RowDescription of ${bytes.readInt16BE(5)} columns`;
  return describePacket(message, true);
}

describe('the model of a session answers as PostgreSQL does', () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start({ settings: { timezone: 'Etc/UTC', allow_system_table_mods: 'on' } });
    await server.query(SETUP);
  });
  after(() => server?.discard());

  test(`${SESSIONS} sessions of ${BATCHES} batches`, async () => {
    for (let seed = 1; seed <= SESSIONS; seed++) {
      const client = await RawClient.login(server);
      await compareSession(seed, client);
      await client.close();
    }
  });
});

async function compareSession(seed: number, client: RawClient): Promise<void> {
  const alone = { mayHave: () => true, freed: () => {} };
  const model = new PostgresSession(new Map([['user', SUPERUSER]]), alone, () => {});
  model.parameters.report();
  let tokens = 0;
  const plan = makePlan(seed, new Random(seed), {});
  const work = new ClientStateWork(CLIENT, plan, new Map(), () => `c${CLIENT}:${++tokens}`);
  for (let done = 0; done < BATCHES; ) {
    const standing = model.failed ? 'failed' : model.inBlock ? 'in transaction' : 'idle';
    const batch = standing === 'failed' ? [Packets.query('ROLLBACK')] : work.batch(standing);
    if (batch === null) continue;
    done += 1;
    const asked = batch.map((message) => describePacket(message, false));
    for (const message of batch) model.push(message);
    const expected = run(model);
    client.send(...batch.map(({ bytes }) => bytes));
    const actual: Packets.Packet[] = [];
    for (const { type } of expected) {
      if (type !== Backend.ReadyForQuery) continue;
      for (const answer of await client.untilReady()) {
        actual.push(Packets.packet(answer.type.charCodeAt(0), answer.body));
      }
    }
    const [is, should] = [actual, expected].map((messages) =>
      messages.map(comparable).filter((line) => line !== null),
    );
    const place = `seed ${seed}, batch ${done}:\n${asked.join('\n')}`;
    assert.deepEqual(should, is, place);
    if (model.status === Backend.Idle) assert.deepEqual(probeModel(model), await probe(client), place);
  }
}

function run(model: PostgresSession): Packets.Packet[] {
  while (model.next !== 'nothing') model.step();
  return model.out.splice(0);
}

const PROBE = probeText(CUSTOM_NAMES);

async function probe(client: RawClient): Promise<object> {
  const rows = (await client.query(PROBE)).filter(({ type }) => type === 'D');
  return readProbe(rows[0]!.body);
}

function probeModel(model: PostgresSession): object {
  model.push(Packets.query(PROBE));
  const row = run(model).find(({ type }) => type === Backend.DataRow)!;
  return readProbe(row.bytes.subarray(5));
}

/** What the gateway makes of the row. */
function readProbe(body: Buffer): object {
  const found = readProbeRow(body, 0, body.length);
  assert.ok(found !== null);
  const settings = [...found.settings].map(([name, value]) => {
    // The probe has them in their smallest unit.
    return name === 'work_mem' || name === 'statement_timeout' ? name : `${name} = ${value}`;
  });
  return { settings: settings.sort(), pins: found.pins, channels: [...found.channels].sort() };
}
