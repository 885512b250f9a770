import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FoundNodes } from '../../core/route/found-nodes.js';
import type { NodeSettings } from '../../core/settings.js';
import { Discovery } from './discovery.js';
import { DnsSource } from './dns-source.js';
import type { Finding } from './node-source.js';

const node = (name: string, host = name): NodeSettings => ({
  ...{ name, address: { host, port: 5432 }, weight: 1, zone: '' },
});

/** Answers what a test says, each time that it is asked. */
class Script {
  readonly intervalMs = 1;
  readonly told: FoundNodes[] = [];
  readonly reported: string[] = [];
  now = 0;
  readonly #answers: (Finding | Error)[];
  readonly #over: Promise<void>;
  #end = () => {};

  constructor(answers: (Finding | Error)[]) {
    this.#answers = answers;
    this.#over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async read(): Promise<Finding> {
    const answer = this.#answers.shift();
    if (answer === undefined) {
      this.#end();
      return new Promise(() => {});
    }
    this.now += 6000;
    if (answer instanceof Error) throw answer;
    return answer;
  }

  close(): void {}

  /** Until all answers have been given. */
  async run(): Promise<Discovery> {
    const discovery = new Discovery('test', this, {
      clock: () => this.now,
      tell: (found) => this.told.push(found),
      report: ({ level, message }) => this.reported.push(`${level} ${message}`),
    });
    // Its own timers keep no process alive.
    const alive = setInterval(() => {}, 1000);
    await this.#over;
    clearInterval(alive);
    discovery.close();
    return discovery;
  }
}

describe('a source of nodes', () => {
  test('is told of when it says something else, and nodes stay while it is silent', async () => {
    const word = { leader: 'a', timeline: 3 };
    const both = { nodes: [node('a'), node('b')], word };
    const script = new Script([both, both, new Error('no'), new Error('no'), new Error('no'), both]);
    const { status } = await script.run();
    assert.deepEqual(
      script.told.map(({ nodes, word }) => [nodes.length, word?.leader ?? null]),
      [
        [2, 'a'],
        // The word alone is too old by now.
        [2, null],
        [2, 'a'],
      ],
    );
    assert.deepEqual(script.reported, [
      'info test: nodes: a, b',
      'info test: a is called the primary',
      "warn test: it can't be asked: no",
      'info test: it answers again',
      'info test: a is called the primary',
    ]);
    assert.deepEqual([status.nodes, status.leader, status.trouble], [['a', 'b'], 'a', null]);
  });

  test('is not followed where its answer can not be meant', async () => {
    const many = Array.from({ length: 65 }, (_, place) => node(`n${place}`));
    const script = new Script([
      { nodes: [], word: null },
      { nodes: many, word: null },
      { nodes: [node('a'), node('b', 'a')], word: null },
    ]);
    await script.run();
    assert.deepEqual(script.told, []);
    assert.match(
      script.reported.join('\n'),
      /knows no node\n.*65 nodes, more than 64: let .*\n.*a node twice/,
    );
  });
});

describe('nodes by a name', () => {
  test('are all of its addresses, and those that it has had lately', async () => {
    let now = 0;
    let addresses = ['10.0.0.2', 'fd00::1'];
    const place = { name: 'dns db:5433', kind: 'dns', host: 'db', port: 5433 } as const;
    const source = new DnsSource(
      place,
      () => now,
      async () => addresses,
    );
    const names = async () => (await source.read()).nodes.map(({ name }) => name);
    assert.deepEqual(await names(), ['10.0.0.2:5433', '[fd00::1]:5433']);
    addresses = ['10.0.0.3', 'fd00::1'];
    now = 20_000;
    assert.deepEqual(await names(), ['10.0.0.2:5433', '10.0.0.3:5433', '[fd00::1]:5433']);
    now = 31_000;
    assert.deepEqual(await names(), ['10.0.0.3:5433', '[fd00::1]:5433']);
  });
});
