import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../harness/scratch.js';
import { until } from '../../harness/until.js';
import { ProxyGround, whyNoProxies } from './proxies.js';
import type { Heard, Order } from './talker.js';

const PROGRAM = fileURLToPath(new URL('talker.js', import.meta.url));

/** A program at a place, and what it has heard. */
class Talker {
  readonly heard: Heard[] = [];
  readonly #child: ChildProcess;

  constructor(ground: ProxyGround, place: string, listens?: number) {
    const at = ground.place(place);
    const args = [PROGRAM, ...(listens === undefined ? [] : [`${at.listens}:${listens}`])];
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    this.#child = at.start({ program: process.execPath, args, stdio: [...stdio] });
    this.#child.on('message', (heard) => this.heard.push(heard as Heard));
  }

  tell(order: Order): void {
    this.#child.send(order);
  }

  /** Waits until it has heard this, in whatever pieces, and forgets what it has heard. Returns that, in order. */
  async hears(text: string): Promise<string> {
    const all = () => this.heard.map(([, piece]) => piece).join('');
    await until(text, () => all().includes(text));
    const heard = all();
    this.forget();
    return heard;
  }

  /** How many connections of that name have ended. */
  ends(connection: string): number {
    return this.heard.filter(([name, text]) => name === connection && text === '').length;
  }

  /** Forgets what it has heard, and not what has ended. */
  forget(): void {
    const ends = this.heard.filter(([, text]) => text === '');
    this.heard.splice(0, Number.POSITIVE_INFINITY, ...ends);
  }

  async loses(connection: string, count = 1): Promise<void> {
    await until(`the end of ${connection}`, () => this.ends(connection) >= count);
  }
}

describe('machines that are loopback addresses', { skip: whyNoProxies() ?? false }, () => {
  let ground: ProxyGround;
  let port: number;
  let a: Talker;
  let b: Talker;
  let server: Talker;
  let to: { host: string; port: number };

  before(async () => {
    port = await freePort();
    const unused = await freePort();
    ground = await ProxyGround.create(['a', 'b', 's'], [port, unused]);
    to = { host: ground.place('s').address, port };
    server = new Talker(ground, 's', port);
    a = new Talker(ground, 'a');
    b = new Talker(ground, 'b');
    for (const one of [a, b, server]) await until('the start', () => one.heard.length > 0);
    for (const one of [a, b, server]) one.heard.splice(0);
    a.tell({ connection: 'refused', to: { host: to.host, port: unused } });
  });
  after(async () => {
    await ground?.discard();
  });

  test('who connects where nobody listens is reset', () => a.loses('refused'));

  test('what goes one way is lost until it is healed, the other way and other machines go on', async () => {
    a.tell({ connection: 'one', to, say: 'hello of a' });
    await server.hears('hello of a');
    await ground.cut('a', 's');
    a.tell({ connection: 'one', say: 'late' });
    server.tell({ say: 'can you hear me' });
    await a.hears('can you hear me');
    b.tell({ connection: 'two', to, say: 'hello of b' });
    assert.equal(await server.hears('hello of b'), 'hello of b');
    await ground.heal('a', 's');
    await server.hears('late');
    await ground.cut('s', 'b');
    server.tell({ say: 'late, too' });
    b.tell({ connection: 'two', say: 'nobody answers' });
    await server.hears('nobody answers');
    assert.equal(b.heard.length, 0);
    await ground.repair();
    await b.hears('late, too');
  });

  test('who is down reaches itself alone; a connection comes about when it is up, unless it was given up', async () => {
    await ground.down('s');
    a.tell({ connection: 'given up', to, say: 'never' });
    b.tell({ connection: 'patient', to, say: 'at last' });
    server.tell({ connection: 'itself', to, say: 'to myself' });
    await server.hears('to myself');
    a.tell({ connection: 'given up', end: true });
    await a.loses('given up');
    await ground.up('s');
    await ground.up('s');
    assert.equal(await server.hears('at last'), 'at last');
  });

  test('a cut connection that is broken off is noticed when it is healed', async () => {
    a.tell({ connection: 'three', to, say: 'before' });
    await server.hears('before');
    await ground.cut('a', 's');
    a.tell({ connection: 'three', end: true });
    await a.loses('three');
    b.tell({ connection: 'four', to, say: 'meanwhile' });
    await server.hears('meanwhile');
    assert.equal(server.ends('in'), 0);
    await ground.heal('a', 's');
    await server.loses('in');
  });

  test('knows the processes of a machine, and what they have started', async () => {
    assert.equal(ground.processes('a').length, 1);
    a.tell({ startIdle: true });
    await until('the other process', () => ground.processes('a').length === 2);
    assert.equal(ground.processes('b').length, 1);
  });
});
