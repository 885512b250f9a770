/** Which version of the protocol servers are asked for, and the cancel keys that come of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import * as Backend from '../../src/wire/backend.js';
import * as Frontend from '../../src/wire/frontend.js';
import {
  buildAuthenticationOk,
  buildBackendKeyData,
  buildCommandComplete,
  buildParameterStatus,
  buildReadyForQuery,
} from '../../src/wire/server-messages.js';
import { describeDrivers } from '../harness/drivers.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

const LONGEST_KEY = Buffer.alloc(256, 0xa5);
const SHORT_KEY = Buffer.from('four');

/** As much of a server as is needed: it answers no query `hold`, and `wait` when that is cancelled. */
class FakeServer {
  readonly minors: number[] = [];
  readonly cancelledBy: Buffer[] = [];
  readonly #version: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #waiting: Socket | null = null;
  /** A query is under way that is never answered. */
  holds = false;

  /** @param knowsNewest false: whoever asks for more than 3.0 is sent away, as some poolers do */
  constructor(version: string, knowsNewest: boolean) {
    this.#version = version;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', (packet) => this.#begin(socket, packet, knowsNewest));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  get waits(): boolean {
    return this.#waiting !== null;
  }

  #begin(socket: Socket, packet: Buffer, knowsNewest: boolean): void {
    if (packet.readInt32BE(4) === Frontend.CancelRequestCode) {
      this.cancelledBy.push(packet.subarray(12));
      this.#waiting?.write(done());
      this.#waiting = null;
      socket.end();
      return;
    }
    const minor = packet.readInt32BE(4) & 0xffff;
    this.minors.push(minor);
    if (minor > 0 && !knowsNewest) return void socket.destroy();
    socket.on('data', (chunk) => {
      if (chunk[0] === Frontend.Terminate) socket.end();
      else if (chunk.includes('wait')) this.#waiting = socket;
      else if (chunk.includes('hold')) this.holds = true;
      else socket.write(done());
    });
    socket.write(
      Buffer.concat([
        buildAuthenticationOk(),
        buildParameterStatus('server_version', this.#version),
        buildBackendKeyData(4711, minor > 0 ? LONGEST_KEY : SHORT_KEY),
        buildReadyForQuery(Backend.Idle),
      ]),
    );
  }
}

function done(): Buffer {
  return Buffer.concat([buildCommandComplete('SELECT 0'), buildReadyForQuery(Backend.Idle)]);
}

/** Two clients at once, so that there are two server connections; the second one's query is cancelled. */
async function cancelSecond(server: FakeServer, gateway: { host: string; port: number }): Promise<void> {
  const [first, second] = [await RawClient.login(gateway), await RawClient.login(gateway)];
  first.send(send.query('SELECT hold'));
  await until('the first query to run', () => server.holds);
  second.send(send.query('SELECT wait'));
  await until('the query to run', () => server.waits);
  await second.cancel(gateway);
  await second.untilReady();
  await second.close();
  first.destroy();
}

describe('the protocol that servers are asked for', () => {
  const cases = [
    { version: '18.1', knowsNewest: true, minors: [0, 2], key: LONGEST_KEY },
    { version: '17.6', knowsNewest: true, minors: [0, 0], key: SHORT_KEY },
    // A pooler before a new server, which doesn't know its protocol: the failure is nobody's.
    { version: '18.1', knowsNewest: false, minors: [0, 2, 0], key: SHORT_KEY },
  ];
  for (const { version, knowsNewest, minors, key } of cases) {
    describeDrivers(`${version}${knowsNewest ? '' : ', behind an old pooler'}`, (io) => {
      let server: FakeServer;
      let port = 0;
      before(async () => {
        server = new FakeServer(version, knowsNewest);
        port = await server.listen();
      });
      after(() => server.close());

      test(`cancels with a key of ${key.length} bytes`, async () => {
        const settings = { server_tls_sslmode: 'disable', server_login_retry: 60, server_unix_socket: 'off' };
        await withGateway({ io, server: { host: '127.0.0.1', port }, settings }, async (gateway) => {
          await cancelSecond(server, gateway);
          assert.deepEqual(server.minors, minors);
          assert.deepEqual(server.cancelledBy, [key]);
        });
      });
    });
  }
});
