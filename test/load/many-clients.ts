/** Very many clients at once, all over few server connections. */
import { singleValue } from '../harness/backend-message.js';
import { type Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';

export interface LoadOptions {
  readonly io: Driver;
  readonly clients: number;
  readonly queriesEach: number;
  readonly poolSize: number;
}

export interface LoadReport {
  readonly clients: number;
  readonly queries: number;
  /** The first of each kind. */
  readonly errors: readonly string[];
  /** The most client backends that were seen at the server. */
  readonly serverConnections: number;
  readonly connectMs: number;
  readonly queryMs: number;
  /** From the sending of a query to its ReadyForQuery, in ms. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** What the gateway's resident memory grew by for one connected idle client. */
  readonly bytesPerIdleClient: number;
}

/** How many clients log in at the same time. */
const LOGINS_AT_ONCE = 100;
/** Beyond this nobody would call it an answer. */
const ANSWER_LIMIT_MS = 120_000;

/** Connects all clients, then lets each run its queries, all at the same time. Throws only when nothing can be measured. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const server = await PostgresServer.start();
  try {
    const settings = {
      default_pool_size: options.poolSize,
      max_client_conn: options.clients + 100,
      log_connections: 0,
      log_disconnections: 0,
    };
    const gateway = await GatewayUnderTest.start({ io: options.io, server, settings });
    try {
      return await measure(server, gateway, options);
    } finally {
      await gateway.stop();
    }
  } finally {
    await server.discard();
  }
}

async function measure(
  server: PostgresServer,
  gateway: GatewayUnderTest,
  options: LoadOptions,
): Promise<LoadReport> {
  const errors = new Set<string>();
  const settled = { done: false };
  const watched = watchServer(server, settled);
  const memoryBefore = gateway.residentBytes();
  const began = performance.now();
  const clients = await connectAll(gateway, options.clients, errors);
  const connected = performance.now();
  const grown = gateway.residentBytes() - memoryBefore;
  const latencies: number[] = [];
  const work = (client: RawClient, who: number) => ask(client, who, options.queriesEach, latencies);
  const outcomes = await Promise.allSettled(clients.map(work));
  const finished = performance.now();
  for (const outcome of outcomes) if (outcome.status === 'rejected') errors.add(String(outcome.reason));
  settled.done = true;
  const serverConnections = await watched;
  for (const client of clients) client.destroy();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  return {
    clients: clients.length,
    queries: latencies.length,
    errors: [...errors],
    serverConnections,
    connectMs: connected - began,
    queryMs: finished - connected,
    latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    bytesPerIdleClient: grown / clients.length,
  };
}

async function connectAll(
  gateway: GatewayUnderTest,
  count: number,
  errors: Set<string>,
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  let begun = 0;
  const connectSome = async () => {
    while (begun++ < count) {
      try {
        clients.push(await RawClient.login(gateway, {}, { answerLimitMs: ANSWER_LIMIT_MS }));
      } catch (error) {
        errors.add(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: LOGINS_AT_ONCE }, connectSome));
  return clients;
}

async function ask(client: RawClient, who: number, queries: number, latencies: number[]): Promise<void> {
  for (let i = 0; i < queries; i++) {
    const expected = `${who}/${i}`;
    const sent = performance.now();
    const answer = singleValue(await client.query(`SELECT '${expected}'`));
    latencies.push(performance.now() - sent);
    if (answer !== expected) throw new Error(`client ${expected} got the answer ${answer}`);
  }
}

async function watchServer(server: PostgresServer, settled: { readonly done: boolean }): Promise<number> {
  let most = 0;
  while (!settled.done) {
    most = Math.max(most, await server.connections());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return most;
}
