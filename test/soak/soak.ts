/**
 * A soak: a gateway that runs for long under everything that goes wrong, in turn and together, while well-behaved
 * clients check every answer. What it holds afterwards must be what it held before.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BYSTANDER_SETUP, Bystander } from '../fuzz/bystander.js';
import { SeededRandom } from '../fuzz/random.js';
import { type Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { cheapVerifier } from '../harness/scram-login.js';
import { scratchFolder } from '../harness/scratch.js';
import { badPasswords } from './bad-passwords.js';
import { hangingServer } from './hanging-server.js';
import { type Resources, settledResources } from './resources.js';
import { DATABASES, type Ground, PASSWORD, type Siege, type Stop } from './siege.js';
import { signalStorm } from './signal-storm.js';
import { SilencingProxy } from './silencing-proxy.js';
import { stallingClients } from './stalling-clients.js';
import { vanishingClients } from './vanishing-clients.js';

export interface SoakOptions {
  readonly io: Driver;
  readonly seed: number;
  /** How long sieges are laid, all in all; the pauses for looking at resources come on top. */
  readonly seconds: number;
  /** How long one turn of it is: the first is for everything together, those that follow for one siege each. */
  readonly turnSeconds: number;
  /** Told after each turn. */
  readonly onTurn?: (turn: Turn) => void;
}

/** One siege, or all of them together, and what the gateway held after it. */
export interface Turn {
  readonly name: string;
  readonly seconds: number;
  readonly resources: Resources;
  /** What happened, by name. */
  readonly counts: ReadonlyMap<string, number>;
  /** Right answers to well-behaved clients. */
  readonly answers: number;
}

export interface SoakReport {
  /** Descriptors before anything has gone wrong; memory after a first turn of everything, that nobody counts. */
  readonly baseline: Resources;
  readonly turns: readonly Turn[];
  /** What must not have been; empty: all is well. */
  readonly failures: readonly string[];
}

const COLLECT_GARBAGE = new URL('./collect-garbage.js', import.meta.url).href;
const BYSTANDERS = 6;
const BAD_LOGINS_PER_SECOND = 1000;
const SERVER_IDLE_TIMEOUT = '1s';
/** Answers that bystanders get at least each second, whatever goes on: fewer, and they are harmed. */
const ANSWERS_PER_SECOND_MIN = 1;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const server = await PostgresServer.start({ settings: { max_connections: 200 } });
  const proxy = await SilencingProxy.start(server, new SeededRandom(options.seed));
  try {
    await server.query(BYSTANDER_SETUP);
    const folder = scratchFolder('soak');
    const file = join(folder, 'sluice.yaml');
    writeFileSync(join(folder, 'users.txt'), `"${SUPERUSER}" "${cheapVerifier(PASSWORD)}"\n`);
    const write = (poolSize: number) => configuration(server.port, proxy.port, poolSize);
    writeFileSync(file, write(20));
    const gateway = await GatewayUnderTest.start({
      io: options.io,
      server: [],
      file,
      settings: { auth_type: 'scram-sha-256' },
      preload: [COLLECT_GARBAGE],
      // The storm's mistakes, and what a server that falls silent leads to.
      expectedTrouble: [/sluice\.yaml/, /configuration was not reloaded/],
    });
    const sieges = [
      signalStorm(file, write),
      badPasswords(SUPERUSER, BAD_LOGINS_PER_SECOND),
      vanishingClients(40),
      hangingServer(20),
      stallingClients(20),
    ];
    try {
      return await besiege(gateway, sieges, options);
    } finally {
      await gateway.stop();
    }
  } finally {
    await proxy.stop();
    await server.discard();
  }
}

/** Short times, so that what is to be let go is let go while somebody looks. */
function configuration(serverPort: number, proxyPort: number, poolSize: number): string {
  const database = (port: number) => `{ host: 127.0.0.1, port: ${port}, dbname: app }`;
  return [
    'auth_file: users.txt',
    `default_pool_size: ${poolSize}`,
    'max_client_conn: 5000',
    `server_idle_timeout: ${SERVER_IDLE_TIMEOUT}`,
    'server_connect_timeout: 2s',
    'server_login_retry: 100ms',
    'cancel_wait_timeout: 1s',
    'client_login_timeout: 5s',
    'query_wait_timeout: 20s',
    // A notice is no answer that the bystanders know.
    'query_wait_notify: 0',
    'log_connections: 0',
    'log_disconnections: 0',
    'log_pooler_errors: 0',
    'databases:',
    `  ${DATABASES.calm}: ${database(serverPort)}`,
    `  ${DATABASES.stalled}: ${database(serverPort)}`,
    `  ${DATABASES.hanging}: ${database(proxyPort)}`,
    '',
  ].join('\n');
}

async function besiege(
  gateway: GatewayUnderTest,
  sieges: readonly Siege[],
  options: SoakOptions,
): Promise<SoakReport> {
  const failures: string[] = [];
  const random = new SeededRandom(options.seed);
  const bystanders = await Promise.all(
    Array.from({ length: BYSTANDERS }, (_, who) =>
      Bystander.connect(gateway, who, new SeededRandom(options.seed + who), { password: PASSWORD }),
    ),
  );
  let wanted = Number.POSITIVE_INFINITY;
  const runTurn = async (laid: readonly Siege[], seconds: number): Promise<Turn> => {
    const counts = new Map<string, number>();
    const ground: Ground = {
      gateway,
      random,
      count: (what) => counts.set(what, (counts.get(what) ?? 0) + 1),
      fail: (what) => failures.push(what),
    };
    const answersBefore = sumOfAnswers(bystanders);
    await layAll(ground, laid, bystanders, seconds);
    const name = laid.length === 1 ? laid[0]!.name : 'everything together';
    const answers = sumOfAnswers(bystanders) - answersBefore;
    if (answers < seconds * ANSWERS_PER_SECOND_MIN) failures.push(`${name}: only ${answers} answers`);
    return { name, seconds, counts, answers, resources: await settledResources(gateway, wanted) };
  };
  const atFirst = await settledResources(gateway, Number.POSITIVE_INFINITY);
  await runTurn(sieges, options.turnSeconds);
  const { residentBytes } = await settledResources(gateway, Number.POSITIVE_INFINITY);
  const baseline = { residentBytes, descriptors: atFirst.descriptors };
  wanted = baseline.descriptors;
  const turns: Turn[] = [];
  for (let spent = 0, at = 0; spent < options.seconds; spent += options.turnSeconds, at++) {
    const alone = sieges[(at % (sieges.length + 1)) - 1];
    const turn = await runTurn(alone === undefined ? sieges : [alone], options.turnSeconds);
    turns.push(turn);
    options.onTurn?.(turn);
    if (gateway.ended) throw new Error(`the gateway has ended:\n${gateway.log.slice(-3000)}`);
  }
  for (const bystander of bystanders) await bystander.leave();
  failures.push(...gateway.trouble());
  return { baseline, turns, failures };
}

function sumOfAnswers(bystanders: readonly Bystander[]): number {
  return bystanders.reduce((sum, { answers }) => sum + answers, 0);
}

async function layAll(
  ground: Ground,
  sieges: readonly Siege[],
  bystanders: readonly Bystander[],
  seconds: number,
): Promise<void> {
  const stop = { now: false };
  const timer = pause(seconds * 1000).then(() => {
    stop.now = true;
  });
  const guarded = async (work: Promise<void>) => {
    try {
      await work;
    } catch (error) {
      stop.now = true;
      ground.fail((error as Error).stack ?? String(error));
    }
  };
  await Promise.all([
    timer,
    ...sieges.map((siege) => guarded(siege.lay(ground, stop as Stop))),
    ...bystanders.map((bystander) => guarded(bystander.askUntil(stop))),
  ]);
}
