/**
 * An agent that is killed at any step of what it does, and what the next life makes of that: it completes the work, or begins it
 * anew, and nothing that was committed or configured is lost.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { isHalfInitialized } from '../../../src/agent/postgres/initialize.js';
import type { PostgresSettings } from '../../../src/agent/postgres/postgres-side.js';
import { nodePaths, stateFolder } from '../../../src/agent/postgres/state-folder.js';
import { handOver } from '../../../src/agent/server-user.js';
import { commonWith, type Position } from '../../../src/cluster/position.js';
import type { Contact, Epoch } from '../../../src/cluster/records.js';
import { FAST, NodeWorld, TestNode } from '../../harness/postgres-node.js';
import { until } from '../../harness/until.js';

const LIFE = fileURLToPath(new URL('./life.js', import.meta.url));
/** All steps take long. */
const PERMIT_MS = 24 * 3_600_000;
const OWN_LINE = '# a line of the node itself';

export const SCENARIOS = ['initdb', 'promotion', 'rewind', 'clone'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** What a life is given. */
export interface Life {
  readonly scenario: Scenario;
  readonly settings: PostgresSettings;
  readonly contacts: readonly (readonly [string, Contact])[];
  readonly epoch: Epoch | null;
  /** The number or the name of the step before which it ends; 0: it lives. */
  readonly killAt: number | string;
}

/** A primary, and a node whose agent is killed again and again, each time from the same beginning. */
export class CrashGround {
  readonly #world = new NodeWorld();
  readonly #primary: TestNode;
  readonly #node: TestNode;

  private constructor(primary: TestNode, node: TestNode, world: NodeWorld) {
    this.#primary = primary;
    this.#node = node;
    this.#world = world;
  }

  /** The node has been the primary before, and has WAL that nobody follows. */
  static async open(): Promise<CrashGround> {
    const world = new NodeWorld();
    // Each life is one of a standby of the beginning, however many there have been.
    const parameters = { ...FAST, wal_keep_size: '8GB' };
    const primary = await TestNode.open('p', world, { parameters });
    const node = await TestNode.open('n', world);
    const ground = new CrashGround(primary, node, world);
    await node.lead(1);
    await ground.#createTable();
    await primary.join(node, 1);
    await node.close();
    appendFileSync(join(node.settings.data, 'postgresql.conf'), `${OWN_LINE}\n`);
    ground.#save('standby');
    // It must have nothing of what the node writes in its next life.
    await primary.askPosition({ do: 'detach' });
    await node.begin();
    await node.restart();
    await node.takeOver(1, 2);
    await node.query('INSERT INTO t VALUES (-1)');
    await node.close();
    ground.#save('old primary');
    await primary.takeOver(2, 7);
    primary.permit(PERMIT_MS);
    await primary.query('INSERT INTO t VALUES (2)');
    await primary.query('CHECKPOINT');
    return ground;
  }

  async close(): Promise<void> {
    await Promise.all([this.#primary.close(), this.#node.close()]);
  }

  /** How many steps there are, by a life that comes to its end. */
  async steps(scenario: Scenario): Promise<readonly string[]> {
    this.#load(scenario);
    const { output, code } = await this.#live(scenario, 0);
    assert.equal(code, 0, `a life without a crash has failed: ${scenario}`);
    return JSON.parse(output) as string[];
  }

  /** One life that ends before that step, or comes to its end, and one after it. */
  async crash(scenario: Scenario, killAt: number | string): Promise<void> {
    this.#load(scenario);
    await this.#live(scenario, killAt);
    await this.#node.begin();
    try {
      if (scenario === 'initdb') await this.#initialize();
      else if (scenario === 'promotion') await this.#leadAgain();
      else await this.#rejoin();
    } finally {
      await this.#node.close();
    }
    assert.deepEqual(this.#node.pids, [], 'processes are left');
  }

  async #live(scenario: Scenario, killAt: number | string): Promise<{ output: string; code: number | null }> {
    const { settings } = this.#node;
    const contacts = [...this.#world.contacts];
    const life: Life = { scenario, settings, contacts, epoch: this.#world.epoch, killAt };
    const child = spawn(process.execPath, [LIFE, JSON.stringify(life)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    return { output, code };
  }

  async #initialize(): Promise<void> {
    const answer = await this.#node.ask({ do: 'stop', mode: 'immediate', limitMs: 0 });
    assert.equal(answer.kind, 'stopped');
    const { data } = (answer as { stopped: { data: string } }).stopped;
    if (data === 'damaged') assert.ok(await isHalfInitialized(this.#node.settings));
    if (data !== 'whole') await this.#node.initialize();
    await this.#node.restart();
    await this.#node.askPosition({ do: 'promote', term: 1, above: 0 });
  }

  async #leadAgain(): Promise<void> {
    const node = this.#node;
    const position = await node.restart();
    requireTerms(position);
    const { timeline } = position.history.at(-1)!;
    const { epoch } = this.#world;
    try {
      const next = await node.takeOver(6, Math.max(7, timeline));
      requireTerms(next);
      assert.ok(!commonWith(next.history, position).isDiverged, 'it goes on from where it was');
    } finally {
      this.#world.epoch = epoch;
    }
    assert.equal((await node.query('SELECT FROM t')).length, 1);
  }

  /** As the machine does it: what is whole is started, what has left the primary's history is rewound, what isn't is cloned. */
  async #rejoin(): Promise<void> {
    const node = this.#node;
    const primary = this.#primary;
    const stopped = await node.ask({ do: 'stop', mode: 'immediate', limitMs: 0 });
    assert.equal(stopped.kind, 'stopped');
    const { data } = (stopped as { stopped: { data: string } }).stopped;
    if (data === 'whole') {
      const position = await node.restart();
      requireTerms(position);
      const common = commonWith(this.#world.epoch!.history, position);
      if (common.isDiverged) {
        const answer = await node.ask({ do: 'rewind', primary: primary.name, keepFrom: common.lsn });
        assert.equal(answer.kind, 'rewound');
      }
    } else {
      const answer = await node.ask({ do: 'clone', primary: primary.name, keepFrom: null });
      assert.equal(answer.kind, 'cloned');
    }
    const position = await node.restart();
    assert.ok(!commonWith(this.#world.epoch!.history, position).isDiverged);
    node.follow(primary, 2);
    await until('the primary to be followed', () => node.side.facts().streamsFrom === primary.name);
    await until('what the primary has, and no more', async () => {
      const rows = await node.query('SELECT n FROM t ORDER BY n');
      return rows.map(({ n }) => n).join() === '1,2';
    });
    this.#requireOwnTablespaces();
    assert.ok(readFileSync(join(node.settings.data, 'postgresql.conf'), 'utf8').includes(OWN_LINE));
    const paths = nodePaths(node.settings);
    for (const path of [paths.unfinishedMark, paths.ownConfiguration])
      assert.ok(!existsSync(path), `${path} is left`);
  }

  /** In a tablespace, whose place is saved and loaded with the rest: a copy must have another one. */
  async #createTable(): Promise<void> {
    const { data, serverUser } = this.#node.settings;
    const place = join(stateFolder(data), 'space');
    mkdirSync(place);
    await handOver(place, serverUser);
    await this.#node.query(`CREATE TABLESPACE space LOCATION '${place}'`);
    await this.#node.query('CREATE TABLE t TABLESPACE space AS SELECT 1 AS n');
  }

  /** Each node has tablespaces of its own. */
  #requireOwnTablespaces(): void {
    const places = [this.#primary, this.#node].map(({ settings: { data } }) => {
      const folder = join(data, 'pg_tblspc');
      return readdirSync(folder).map((oid) => readlinkSync(join(folder, oid)));
    });
    assert.deepEqual(
      places.map(({ length }) => length),
      [1, 1],
    );
    assert.notEqual(places[0]![0], places[1]![0]);
  }

  /** The node's folders, as they are now. */
  #save(name: string): void {
    const { data } = this.#node.settings;
    for (const folder of [data, stateFolder(data)]) execFileSync('cp', ['-a', folder, `${folder} ${name}`]);
  }

  #load(scenario: Scenario): void {
    const { data } = this.#node.settings;
    const name = { initdb: null, promotion: 'standby', rewind: 'old primary', clone: 'standby' }[scenario];
    for (const folder of [data, stateFolder(data)]) {
      rmSync(folder, { recursive: true, force: true });
      if (name !== null) execFileSync('cp', ['-a', `${folder} ${name}`, folder]);
    }
  }
}

/** Each timeline but the first was begun by a later term than the one before. */
function requireTerms({ history }: Position): void {
  const terms = history.map(({ term }) => term);
  const isRising = terms.every((term, i) => i === 0 || term >= terms[i - 1]!);
  assert.ok(isRising && terms.slice(1).every((term) => term > 0), `terms ${terms.join(', ')}`);
}
