import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type pg from 'pg';
import { KeptConnection } from './kept-connection.js';

/** A client whose statements are answered by hand. */
class FakeClient {
  readonly asked: string[] = [];
  isClosed = false;
  readonly #waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = [];

  readonly connection = { stream: { destroy: () => {} } };

  query({ text }: pg.QueryConfig): Promise<unknown> {
    this.asked.push(text);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async end(): Promise<void> {
    this.isClosed = true;
    while (this.#waiting.length > 0) this.fail('broken off');
  }

  answer(n: number): void {
    this.#waiting.shift()!.resolve({ rows: [{ n }] });
  }

  fail(reason: string): void {
    this.#waiting.shift()!.reject(new Error(reason));
  }
}

describe('the connection that is kept', () => {
  const open = (patienceMs?: number) => {
    const clients: FakeClient[] = [];
    const kept = new KeptConnection(async () => {
      clients.push(new FakeClient());
      return clients.at(-1) as unknown as pg.Client;
    }, patienceMs);
    return { kept, clients };
  };

  test('has one statement under way, and answers in order', async () => {
    const { kept, clients } = open();
    const answers = ['a', 'b', 'c'].map((text) => kept.query(text));
    for (let n = 1; n <= 3; n++) {
      await turn();
      assert.equal(clients[0]!.asked.length, n);
      clients[0]!.answer(n);
    }
    assert.deepEqual((await Promise.all(answers)).flat(), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.equal(clients.length, 1);
  });

  test('a failure ends it with all that wait, and the next statement has another one', async () => {
    const { kept, clients } = open();
    const first = assert.rejects(kept.query('a'), /it hangs/);
    const second = assert.rejects(kept.query('b'), /the connection was closed/);
    await turn();
    clients[0]!.fail('it hangs');
    await Promise.all([first, second]);
    const third = kept.query('c');
    await turn();
    assert.deepEqual(
      clients.map(({ asked }) => asked),
      [['a'], ['c']],
    );
    assert.ok(clients[0]!.isClosed);
    clients[1]!.answer(3);
    assert.deepEqual(await third, [{ n: 3 }]);
  });

  test('when it is forgotten nobody waits for a statement that hangs', async () => {
    const { kept, clients } = open();
    const hung = assert.rejects(kept.query('a'), /broken off/);
    const behind = assert.rejects(kept.query('b'), /the connection was closed/);
    await turn();
    kept.forget();
    const next = kept.query('c');
    await turn();
    clients[1]!.answer(1);
    assert.deepEqual(await next, [{ n: 1 }]);
    await Promise.all([hung, behind]);
  });

  test('the wait for a turn counts', async () => {
    const { kept, clients } = open(0);
    await assert.rejects(kept.query('a'), /waited too long for its turn/);
    assert.deepEqual(clients[0]!.asked, []);
  });
});
