/** A well-behaved client beside the hostile ones. It knows the answer to everything that it asks. */
import assert from 'node:assert/strict';
import { rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { type Endpoint, RawClient, type RawClientOptions } from '../harness/raw-client.js';
import type { SeededRandom } from './random.js';

/** Statements for {@link Bystander}; to be run once. */
export const BYSTANDER_SETUP = `
  CREATE TABLE ledger (who int PRIMARY KEY, total int NOT NULL);
  INSERT INTO ledger SELECT i, 0 FROM generate_series(0, 99) i;`;

/** Hostile clients hold server connections for a while, so an answer may take longer than usual. */
const ANSWER_LIMIT_MS = 30_000;

export class Bystander {
  /** How many answers were right. */
  answers = 0;
  readonly #who: number;
  readonly #random: SeededRandom;
  readonly #client: RawClient;
  #total = 0;
  #serial = 0;

  private constructor(who: number, random: SeededRandom, client: RawClient) {
    this.#who = who;
    this.#random = random;
    this.#client = client;
  }

  static async connect(
    target: Endpoint,
    who: number,
    random: SeededRandom,
    options: Pick<RawClientOptions, 'password'> = {},
  ): Promise<Bystander> {
    const client = await RawClient.login(target, {}, { ...options, answerLimitMs: ANSWER_LIMIT_MS });
    const bystander = new Bystander(who, random, client);
    client.send(send.parse('mine', `SELECT $1::text || ' of ${who}'`), send.sync());
    assert.equal(typesOf(await client.untilReady()), '1Z');
    return bystander;
  }

  /** Asks until it is told to stop, and leaves; throws at the first wrong answer. */
  async work(stop: { readonly now: boolean }): Promise<void> {
    await this.askUntil(stop);
    await this.leave();
  }

  /** Asks until it is told to stop, and stays; throws at the first wrong answer. */
  async askUntil(stop: { readonly now: boolean }): Promise<void> {
    while (!stop.now) {
      await this.#random.pick([
        () => this.#askSimply(),
        () => this.#askPrepared(),
        () => this.#askMany(),
        () => this.#keepBooks(),
      ])();
      this.answers++;
    }
  }

  leave(): Promise<void> {
    return this.#client.close();
  }

  async #askSimply(): Promise<void> {
    const expected = this.#mark();
    assert.equal(singleValue(await this.#client.query(`SELECT '${expected}'`)), expected);
  }

  async #askPrepared(): Promise<void> {
    const mark = this.#mark();
    this.#client.send(send.bind('', 'mine', [mark]), send.execute(''), send.sync());
    const answer = await this.#client.untilReady();
    assert.equal(typesOf(answer), '2DCZ');
    assert.equal(singleValue(answer), `${mark} of ${this.#who}`);
  }

  async #askMany(): Promise<void> {
    const mark = this.#mark();
    const count = 1 + this.#random.below(300);
    const answer = await this.#client.query(`SELECT '${mark}/' || i FROM generate_series(1, ${count}) i`);
    assert.deepEqual(
      rowsOf(answer),
      Array.from({ length: count }, (_, i) => [`${mark}/${i + 1}`]),
    );
  }

  /** A transaction of several round trips; what it has committed must be there. */
  async #keepBooks(): Promise<void> {
    const keeps = this.#random.chance(0.5);
    const steps = ['BEGIN', `UPDATE ledger SET total = total + 1 WHERE who = ${this.#who}`];
    for (const sql of [...steps, keeps ? 'COMMIT' : 'ROLLBACK']) {
      const answer = await this.#client.query(sql);
      assert.equal(typesOf(answer), 'CZ', sql);
    }
    if (keeps) this.#total++;
    const total = await this.#client.query(`SELECT total FROM ledger WHERE who = ${this.#who}`);
    assert.equal(singleValue(total), `${this.#total}`);
  }

  #mark(): string {
    return `bystander ${this.#who} asks ${++this.#serial}`;
  }
}
