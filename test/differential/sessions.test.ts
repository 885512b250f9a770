/**
 * Clients that set, reset and roll back at random, each directly and through a gateway where they share two server
 * connections: their answers and all that their sessions show must be the same. A failure tells its seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../simulator/random.js';
import { type BackendMessage, errorOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { type Endpoint, RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { GROUND, STATE, sessionStatement } from './session-statements.js';

const SEEDS = [1, 2, 3, 4];
const STEPS = 50;
const CLIENTS = 4;
const IDLE = 'I';
const FAILED = 'E';

/** One client, twice. */
class Twins {
  /** ReadyForQuery's, as of the last answer. */
  status = IDLE;
  private readonly ends: readonly { readonly client: RawClient; readonly view: Map<string, string> }[];

  private constructor(clients: readonly RawClient[]) {
    this.ends = clients.map((client) => ({ client, view: new Map() }));
  }

  static async login(...places: readonly Endpoint[]): Promise<Twins> {
    return new Twins(
      await Promise.all(places.map((place) => RawClient.login(place, { application_name: '' }))),
    );
  }

  /** Sends the same to both, and compares what they answer, and what they have been told of parameters. */
  async compare(packets: readonly Buffer[], what: string): Promise<void> {
    const answers: string[][] = [];
    for (const { client, view } of this.ends) {
      client.send(...packets);
      const messages = await client.untilReady();
      for (const { body } of messages.filter(({ type }) => type === 'S')) note(view, body);
      answers.push(messages.filter(({ type }) => type !== 'S').map(inWords));
    }
    const [direct, shared] = answers;
    assert.deepEqual(shared, direct, what);
    this.status = direct!.at(-1)!.slice(1);
    if (this.status === IDLE) this.compareViews(what);
  }

  private compareViews(what: string): void {
    const [direct, shared] = this.ends.map(({ view }) => view);
    for (const [name, value] of direct!) {
      if (shared!.has(name)) assert.equal(shared!.get(name), value, `${name} ${what}`);
    }
  }

  destroy(): void {
    for (const { client } of this.ends) client.destroy();
  }
}

function note(view: Map<string, string>, body: Buffer): void {
  const [name, value] = body.toString('latin1').split('\0');
  view.set(name!, value!);
}

function inWords(message: BackendMessage): string {
  if (message.type !== 'E' && message.type !== 'N') return message.type + message.body.toString('latin1');
  const { code, message: text } = errorOf(message);
  return `${message.type} ${code} ${text}`;
}

/** A Query, or the same by the extended protocol. */
function packetsFor(random: Random, sql: string, step: number): Buffer[] {
  if (sql.includes(';') || !random.chance(0.3)) return [send.query(sql)];
  const name = random.chance(0.3) ? `s${step}` : '';
  return [send.parse(name, sql), send.bind('', name), send.execute(''), send.sync()];
}

onEveryDriver(
  'random sessions',
  { setup: GROUND, gateway: { settings: { default_pool_size: 2 } } },
  (stage) => {
    for (const seed of SEEDS) {
      test(`seed ${seed}`, async () => {
        const random = new Random(seed);
        const clients = await Promise.all(
          Array.from({ length: CLIENTS }, () => Twins.login(stage.server, stage.gateway)),
        );
        const history: string[] = [];
        for (let step = 0; step < STEPS; step++) {
          // No more than one is in a transaction: the others share what is left.
          const open = clients.find(({ status }) => status !== IDLE);
          const client = open !== undefined && random.chance(0.5) ? open : random.pick(clients);
          const inBlock = client.status !== IDLE;
          const sql = sessionStatement(random, { inBlock, mayBegin: open === undefined });
          history.push(`${clients.indexOf(client)}: ${sql}`);
          const what = `(seed ${seed}) behind\n${history.slice(-15).join('\n')}`;
          await client.compare(packetsFor(random, sql, step), `the answer differs ${what}`);
          if (client.status !== FAILED)
            await client.compare([send.query(STATE)], `the session differs ${what}`);
        }
        for (const client of clients) client.destroy();
      });
    }
  },
);
