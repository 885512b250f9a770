/** The same messages sent to PostgreSQL directly and through the gateway: the same messages must come back. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { singleValue, typesOf } from '../harness/backend-message.js';
import { describeDrivers } from '../harness/drivers.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { type Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { DATABASE, PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { type Endpoint, RawClient } from '../harness/raw-client.js';
import { type PlayOptions, play, type Script } from './script.js';
import { SCRIPTS } from './scripts.js';

const TABLE = 'CREATE TABLE notes (id int PRIMARY KEY, body text)';
const ROWS =
  "SET lock_timeout = '5s'; TRUNCATE notes; INSERT INTO notes VALUES (1, 'one'), (2, 'two'), (3, NULL)";

let server: PostgresServer;
let setup: pg.Client;
/** What PostgreSQL itself answered, by the script's name. */
const expected = new Map<string, string[]>();

before(async () => {
  server = await PostgresServer.start();
  await server.query(TABLE);
  setup = new pg.Client({ host: server.host, port: server.port, user: SUPERUSER, database: DATABASE });
  await setup.connect();
});
after(async () => {
  await setup?.end();
  await server?.discard();
});

async function playDirectly(script: Script): Promise<string[]> {
  const known = expected.get(script.name);
  if (known) return known;
  await setup.query(ROWS);
  const transcript = await play(server, script);
  expected.set(script.name, transcript);
  return transcript;
}

async function compare(gateway: Endpoint, script: Script, options?: PlayOptions): Promise<void> {
  const direct = await playDirectly(script);
  await setup.query(ROWS);
  assert.deepEqual(await play(gateway, script, options), direct);
}

/**
 * A client that holds a server connection while a step of a script runs, another one for each step, so that the script
 * meets more than one server connection.
 */
class Neighbour {
  readonly #client: RawClient;
  #holds = false;

  constructor(client: RawClient) {
    this.#client = client;
  }

  async move(): Promise<void> {
    if (this.#holds) await this.#client.query('COMMIT');
    await this.#client.query('BEGIN');
    this.#holds = true;
  }

  async leave(): Promise<void> {
    if (this.#holds) await this.#client.query('COMMIT');
    await this.#client.close();
  }
}

function compareInMode(io: Driver, mode: 'transaction' | 'session'): void {
  let gateway: GatewayUnderTest;
  before(async () => {
    gateway = await GatewayUnderTest.start({
      io,
      server,
      settings: { pool_mode: mode, default_pool_size: 2 },
    });
  });
  after(() => gateway?.stop());
  for (const script of SCRIPTS) test(script.name, () => compare(gateway, script));
}

function compareWithNeighbour(io: Driver): void {
  let gateway: GatewayUnderTest;
  let neighbour: Neighbour;
  before(async () => {
    gateway = await GatewayUnderTest.start({ io, server, settings: { default_pool_size: 2 } });
  });
  after(() => gateway?.stop());
  beforeEach(async () => {
    neighbour = new Neighbour(await RawClient.login(gateway));
  });
  afterEach(() => neighbour?.leave());
  for (const script of SCRIPTS) {
    test(script.name, () => compare(gateway, script, { betweenTransactions: () => neighbour.move() }));
  }
}

/**
 * Large ones would take minutes byte by byte, and say nothing more. Where the server ends the connection with bytes
 * unread, its last words and the reset race each other, on a direct connection too.
 */
const SHORT_SCRIPTS = SCRIPTS.filter(({ steps }) =>
  steps.every((step) => typeof step === 'string' || step.length < 1000),
).filter(({ name }) => !/thousand|3 MB|many rows|a query in between fails it/.test(name));

function compareByteByByte(io: Driver): void {
  let proxy: FaultProxy;
  let gateway: GatewayUnderTest;
  before(async () => {
    proxy = await FaultProxy.start(server);
    proxy.pieceBytes = 1;
    gateway = await GatewayUnderTest.start({ io, server: proxy, settings: { default_pool_size: 2 } });
  });
  after(async () => {
    await gateway?.stop();
    await proxy?.stop();
  });
  for (const script of SHORT_SCRIPTS) test(script.name, () => compare(gateway, script, { pieceBytes: 1 }));
}

/** Every kind of message that a client may send in a normal session. */
const ALL_KINDS = Buffer.concat([
  send.query('SELECT 1'),
  send.parse('cut', 'SELECT $1::text'),
  send.describeStatement('cut'),
  send.bind('', 'cut', ['some text']),
  send.describePortal(''),
  send.execute('', 10),
  send.flush(),
  send.closePortal(''),
  send.closeStatement('cut'),
  send.sync(),
  send.query('COPY notes FROM STDIN'),
  send.copyData('1\ttwice\n'),
  send.copyFail('no'),
  send.functionCall(177, ['1', '2']),
]);

describe('differential', () => {
  describeDrivers('transaction mode', (io) => compareInMode(io, 'transaction'));
  describeDrivers('session mode', (io) => compareInMode(io, 'session'));
  describeDrivers('transaction mode, another server connection for each step', compareWithNeighbour);
  describeDrivers('transaction mode, byte by byte', compareByteByByte);

  describeDrivers('messages cut in two', (io) => {
    test('at every byte', async () => {
      const direct = await RawClient.login(server);
      direct.send(ALL_KINDS);
      const wanted = typesOf(await takeReady(direct, 4));
      await direct.close();
      const gateway = await GatewayUnderTest.start({ io, server });
      const client = await RawClient.login(gateway);
      for (let cut = 1; cut < ALL_KINDS.length; cut++) {
        await client.sendSlowly(ALL_KINDS.subarray(0, cut), cut);
        client.send(ALL_KINDS.subarray(cut));
        assert.equal(typesOf(await takeReady(client, 4)), wanted, `cut after ${cut} bytes`);
      }
      assert.equal(singleValue(await client.query('SELECT 5')), '5');
      await client.close();
      await gateway.stop();
    });
  });
});

async function takeReady(client: RawClient, count: number) {
  const messages = [];
  for (let i = 0; i < count; i++) messages.push(...(await client.untilReady()));
  return messages;
}
