/** Check 7: nobody is told that a commit succeeded whose wait for the standbys was given up, and that is lost then. */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { until } from '../../harness/until.js';
import { DATABASES, GATEWAYS } from '../clusters/cluster-under-test.js';
import type { DatabaseNode } from '../clusters/database-node.js';
import type { Fault } from '../faults.js';
import { signalAll } from '../ground/program.js';
import { type Check, type CheckPart, type Scene, underFault } from './check.js';

/** These have a pool of their own, beside the load's. */
const USER = 'waiting';
const FIRST_NUMBER = -1_000;
/** A wait that goes on must not end within so many ms. */
const STILL_MS = 1_500;
const CANCEL_REQUEST = 80877102;

/** How a wait is given up. */
const WAYS = [
  'cancel request',
  'timeout',
  'leaves',
  'operator cancels',
  'operator terminates',
  'block',
] as const;
type Way = (typeof WAYS)[number];
/** Those whose commit must go on waiting. */
const GO_ON: ReadonlySet<Way> = new Set(['cancel request', 'timeout', 'block']);

let lastNumber = FIRST_NUMBER;

/** One client whose commit waits. */
class Waiting {
  readonly way: Way;
  readonly number = --lastNumber;
  readonly #client: pg.Client;
  /** What it was told; null: nothing yet. */
  told: string | null = null;

  constructor(way: Way, client: pg.Client) {
    this.way = way;
    this.#client = client;
  }

  async prepare(): Promise<void> {
    await this.#client.connect();
    if (this.way === 'timeout') await this.#client.query("SET statement_timeout = '500ms'");
  }

  /** Begins the commit, and does not wait for its end. */
  async commit(): Promise<void> {
    const insert = `INSERT INTO chaos_set VALUES (${this.number}, '${USER}')`;
    if (this.way === 'block') await this.#client.query(`BEGIN; ${insert}`);
    const sql = this.way === 'block' ? 'COMMIT' : insert;
    void this.#client.query(`${sql} /* ${this.#mark} */`).then(
      ({ command }) => {
        this.told = command;
      },
      (error: { code?: string; message: string }) => {
        this.told = error.code ?? error.message;
      },
    );
  }

  get #mark(): string {
    return `waits ${-this.number}`;
  }

  /** The process that waits for the standbys on its behalf. */
  async backend(primary: DatabaseNode): Promise<number | null> {
    const sql = `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%${this.#mark} *%'`;
    return (await primary.query(sql))[0]?.pid ?? null;
  }

  async giveUp(primary: DatabaseNode): Promise<void> {
    const pid = await this.backend(primary);
    if (this.way === 'cancel request') await this.#cancel();
    if (this.way === 'leaves')
      (
        this.#client as unknown as { connection: { stream: { destroy(): void } } }
      ).connection.stream.destroy();
    if (this.way === 'operator cancels') await primary.query(`SELECT pg_cancel_backend(${pid})`);
    if (this.way === 'operator terminates') await primary.query(`SELECT pg_terminate_backend(${pid})`);
  }

  /** As a driver does it, on a connection of its own. */
  async #cancel(): Promise<void> {
    const { processID, secretKey, host, port } = this.#client as unknown as Record<string, number>;
    const message = Buffer.alloc(16);
    [16, CANCEL_REQUEST, processID!, secretKey!].forEach((value, index) => {
      message.writeInt32BE(value | 0, index * 4);
    });
    const socket = connect(`${host}/.s.PGSQL.${port}`);
    socket.on('error', () => {});
    socket.end(message);
    await new Promise((resolve) => socket.once('close', resolve));
  }

  async end(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}

/** Waits are given up while no standby can be reached; then the primary's machine dies, and with it what only it had. */
function givenUp({ cluster }: Scene, waiting: Waiting[], against: string[]): Fault {
  return {
    what: "the standbys are cut from the primary, waits are given up, and the primary's machine dies",
    takesOver: true,
    isSilent: true,
    begin: async ({ ground, primary }) => {
      await primary.query(
        `DO $$ BEGIN CREATE ROLE ${USER} SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN END $$`,
      );
      waiting.push(
        ...WAYS.map((way, index) => new Waiting(way, cluster.gateways.client(GATEWAYS[index % 2]!, USER))),
      );
      await Promise.all(waiting.map((one) => one.prepare()));
      for (const name of DATABASES.filter((name) => name !== primary.name)) {
        await ground.cut(primary.name, name);
        await ground.cut(name, primary.name);
      }
      await Promise.all(waiting.map((one) => one.commit()));
      for (const one of waiting) await until(`${one.way} to wait`, () => one.backend(primary));
      await Promise.all(waiting.map((one) => one.giveUp(primary)));
      await pause(STILL_MS);
      for (const { way, told } of waiting) {
        if (GO_ON.has(way) && told !== null) against.push(`${way}: the wait ended with ${told}`);
        if (way.startsWith('operator') && told === null) against.push(`${way}: the wait did not end`);
      }
      signalAll(ground.processes(primary.name), 'SIGKILL');
    },
    end: async ({ ground, primary }) => {
      await ground.repair();
      await cluster.boot(primary);
    },
  };
}

const part: CheckPart = {
  what: 'cancel request, timeout, disconnect, pg_cancel_backend, pg_terminate_backend',
  stage: { stores: 1 },
  attempt: async (scene) => {
    const waiting: Waiting[] = [];
    const against: string[] = [];
    const more = async () => {
      const isTold = () => waiting.every(({ way, told }) => told !== null || way === 'leaves');
      await until('everybody to be told', isTold).catch(() => against.push('somebody was told nothing'));
      const committed = waiting.filter(({ told }) => told === 'INSERT' || told === 'COMMIT');
      const node = scene.cluster.nodes[0]!;
      const rows = await node.query(`SELECT number FROM chaos_set WHERE number < ${FIRST_NUMBER}`);
      const present = new Set(rows.map(({ number }) => Number(number)));
      for (const { way, number } of committed) {
        if (!present.has(number)) against.push(`${way}: told committed, and lost`);
      }
      await Promise.all(waiting.map((one) => one.end()));
      return against;
    };
    const fault = givenUp(scene, waiting, against);
    const attempt = await underFault({ what: part.what, fault, more }).attempt(scene);
    const told = waiting.map((one) => `${one.way}: ${one.told ?? 'nothing'}`).join(', ');
    return { ...attempt, told: `${told}; ${attempt.told}` };
  },
};

export const CANCELLED_COMMITS: Check = {
  number: 7,
  name: 'nobody is told that a commit succeeded that is lost later',
  parts: [part],
};
