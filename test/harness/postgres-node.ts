/** One node's PostgreSQL as an agent has it, for tests: commands are given by hand, and what it tells is kept. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { initializeData } from '../../src/agent/postgres/initialize.js';
import { openPostgresSide } from '../../src/agent/postgres/local-postgres.js';
import {
  CANARY_MS,
  type PostgresEffect,
  type PostgresInput,
  type PostgresSettings,
  type PostgresSide,
} from '../../src/agent/postgres/postgres-side.js';
import { stateFolder } from '../../src/agent/postgres/state-folder.js';
import { findPostgres } from '../../src/agent/postgres-binaries.js';
import { processesIn } from '../../src/agent/process-facts.js';
import { chooseServerUser } from '../../src/agent/server-user.js';
import type { Answer } from '../../src/cluster/inputs.js';
import type { Position, TimelineOrigin } from '../../src/cluster/position.js';
import type { Contact, Epoch } from '../../src/cluster/records.js';
import { postgresProgram } from './postgres-binaries.js';
import { freePort, scratchFolder } from './scratch.js';
import { until } from './until.js';

/** Settings of PostgreSQL for nodes that live for a test. */
export const FAST = {
  shared_buffers: '16MB',
  autovacuum: 'off',
  wal_keep_size: '64MB',
  max_connections: '30',
};

type WithoutId<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;
type Asked = WithoutId<PostgresEffect>;

/** What several nodes share: where each is reached, and what the store would show. */
export class NodeWorld {
  readonly contacts = new Map<string, Contact>();
  epoch: Epoch | null = null;
  isHeld = true;
  /** Whether all nodes have the newest replication password. */
  isKnownToAll = true;

  /** As the machine publishes it when it has promoted. */
  publish(primary: TestNode, term: number, history: readonly TimelineOrigin[]): void {
    const rule = { term, primary: primary.name, standbys: [], quorum: 0, mayLose: false, history };
    this.epoch = { term, primary: primary.name, systemIdentifier: primary.systemIdentifier, history, rule };
  }
}

/** A node of tests. */
export class TestNode {
  readonly name: string;
  readonly settings: PostgresSettings;
  readonly told: PostgresInput[] = [];
  systemIdentifier = '';
  #side: PostgresSide | null = null;
  readonly #world: NodeWorld;
  #lastId = 0;

  private constructor(name: string, settings: PostgresSettings, world: NodeWorld) {
    this.name = name;
    this.settings = settings;
    this.#world = world;
    world.contacts.set(name, { host: '127.0.0.1', port: settings.port, api: null });
  }

  static async open(
    name: string,
    world: NodeWorld,
    change: Partial<PostgresSettings> = {},
  ): Promise<TestNode> {
    const data = join(scratchFolder('node'), name);
    const serverUser = await chooseServerUser(data);
    const binDirectory = dirname(postgresProgram('pg_basebackup'));
    const binaries = await findPostgres({
      ...{ binDirectory, wantedMajor: null, user: serverUser, copiesFolder: data, embeddedPackage: null },
    });
    const node = new TestNode(
      name,
      {
        ...{ node: name, data, binaries, serverUser, listen: '127.0.0.1', port: await freePort() },
        socketFolders: stateFolder(data),
        superuser: { user: 'postgres', password: null },
        replication: { user: 'sluice_replication', password: 'stream me' },
        ...{ replicationTls: { mode: 'prefer', caFile: null }, auth: null },
        ...{ configFile: null, hbaFile: null, parameters: FAST, clientRules: [], canaryMs: CANARY_MS },
        ...change,
      },
      world,
    );
    await node.begin();
    return node;
  }

  /** An agent's life on the same data, in another process. */
  static async adopt(settings: PostgresSettings, world: NodeWorld): Promise<TestNode> {
    const node = new TestNode(settings.node, settings, world);
    await node.begin();
    return node;
  }

  /** Of all PostgreSQL processes that work in the data folder. */
  get pids(): readonly number[] {
    return processesIn(this.settings.data) ?? [];
  }

  get postmaster(): number {
    return Number(readFileSync(join(this.settings.data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  get side(): PostgresSide {
    if (this.#side === null) throw new Error(`${this.name} is closed`);
    return this.#side;
  }

  get isOpen(): boolean {
    return this.#side !== null;
  }

  /** A life of the agent. */
  async begin(): Promise<void> {
    this.#side = await openPostgresSide(this.settings, {
      contactOf: (node) => this.#world.contacts.get(node) ?? null,
      epoch: () => this.#world.epoch,
      isKnownToAll: () => this.#world.isKnownToAll,
      heldByGateways: () => this.#world.isHeld,
      tell: (input) => this.told.push(input),
      logger: pino({ level: process.env.SLUICE_TEST_LOG ?? 'silent' }),
    });
  }

  async initialize(): Promise<void> {
    await initializeData(this.settings);
  }

  /** Gives a command, and waits for its answer. */
  async ask(asked: Asked): Promise<Answer> {
    const id = ++this.#lastId;
    this.side.carryOut({ ...asked, id } as PostgresEffect);
    const isAnswer = (input: PostgresInput) => input.kind === 'answer' && input.id === id;
    const input = await until(`${this.name} to ${asked.do}`, () => this.told.find(isAnswer), 30_000);
    return (input as Extract<PostgresInput, { kind: 'answer' }>).answer;
  }

  /** A command after which it tells how far it is. */
  async askPosition(asked: Asked): Promise<Position> {
    const answer = await this.ask(asked);
    if (answer.kind !== 'at') throw new Error(`${this.name}: ${asked.do} was answered with ${answer.kind}`);
    return answer.position;
  }

  /** Ends what runs, and starts it as a standby of nobody. */
  async restart(): Promise<Position> {
    const answer = await this.ask({ do: 'stop', mode: 'immediate', limitMs: 0 });
    if (answer.kind !== 'stopped') throw new Error(`${this.name} did not stop: ${answer.kind}`);
    this.systemIdentifier = answer.stopped.systemIdentifier ?? '';
    return this.askPosition({ do: 'start' });
  }

  /** From nothing to an open primary, whose commits wait for nobody. */
  async lead(term: number): Promise<Position> {
    await this.initialize();
    await this.restart();
    return this.takeOver(term, 0);
  }

  /** From a standby of nobody to an open primary, whose commits wait for nobody. */
  async takeOver(term: number, above: number): Promise<Position> {
    this.permit(60_000);
    const position = await this.askPosition({ do: 'promote', term, above });
    this.#world.publish(this, term, position.history);
    await this.ask({ do: 'synchronize', standbys: [], quorum: 0 });
    this.side.carryOut({ do: 'open' });
    await until(`${this.name} to be open`, () => this.query('SELECT 1').catch(() => null));
    return position;
  }

  permit(forMs: number): void {
    this.side.carryOut({ do: 'permit', until: Number(process.hrtime.bigint()) / 1e6 + forMs });
  }

  /** Copies the primary, and streams from it. */
  async join(primary: TestNode, term: number): Promise<void> {
    const answer = await this.ask({ do: 'clone', primary: primary.name, keepFrom: null });
    if (answer.kind !== 'cloned') throw new Error(`${this.name} was not cloned: ${answer.kind}`);
    await this.restart();
    this.follow(primary, term);
    await until(`${this.name} to stream`, () => this.side.facts().streamsFrom === primary.name);
  }

  follow(primary: TestNode, term: number): void {
    this.side.carryOut({ do: 'follow', upstream: primary.name, term });
  }

  /** As an application of this machine. */
  async connect(database = 'postgres'): Promise<pg.Client> {
    const { port } = this.settings;
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async query(sql: string): Promise<pg.QueryResultRow[]> {
    const client = await this.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  async close(): Promise<void> {
    await this.#side?.close();
    this.#side = null;
  }
}
