/** Judges a run of any length act by act, in memory that does not grow but by the numbers that were acknowledged. */
import type { DatabaseNode } from '../clusters/database-node.js';
import type { Operation } from '../load/history.js';
import { acknowledged, Eras } from '../load/oracles.js';
import { READ_SQL } from '../load/workload.js';

const READ_LIMIT_MS = 120_000;

/** What one act has brought. */
export interface Evidence {
  /** By way of the gateways. */
  readonly outside: readonly Operation[];
  /** Of clients on the machine of the act's first primary, past every gateway. */
  readonly inside: readonly Operation[];
  /** Whether clients inside may have stood still with an answer in their hands: then its time says nothing. */
  readonly isFrozen: boolean;
}

export class Judge {
  readonly #eras = new Eras();
  readonly #acknowledged: number[] = [];

  /** All that has been acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** What is against what is promised, a line each. `primary` is read after the evidence was taken. */
  async judge({ outside, inside, isFrozen }: Evidence, primary: DatabaseNode): Promise<string[]> {
    const against: string[] = [];
    this.#eras.take(outside);
    this.#eras.take(inside);
    for (const { older, newer, afterMs } of this.#eras.twoPrimaries()) {
      against.push(
        `two primaries: ${older.server} (timeline ${older.timeline}) was sent and acknowledged ${older.numbers} ` +
          `${afterMs.toFixed(0)} ms after ${newer.server} (timeline ${newer.timeline}) had acknowledged ${newer.numbers}`,
      );
    }
    if (!isFrozen) {
      for (const write of acknowledged(inside)) {
        const successor = this.#eras.successorOf(write);
        if (successor !== null && write.ended > successor.ended) {
          against.push(
            `the superseded primary ${write.server} acknowledged ${write.numbers} on its own machine`,
          );
        }
      }
    }
    const numbers = [...outside, ...inside].flatMap((one) => acknowledged([one])[0]?.numbers ?? []);
    for (const number of numbers) this.#acknowledged.push(number);
    against.push(...(await this.#missing(primary, numbers)));
    return against;
  }

  /** Whether all that was ever acknowledged is there. */
  async judgeAll(primary: DatabaseNode): Promise<string[]> {
    const rows = await primary.query(READ_SQL, READ_LIMIT_MS);
    const present = new Set(rows.map(({ number }) => Number(number)));
    const lost = this.#acknowledged.filter((number) => !present.has(number));
    const twice = rows.length - present.size;
    return [
      ...(lost.length === 0 ? [] : [`${lost.length} acknowledged writes are lost, such as ${lost[0]}`]),
      ...(twice === 0 ? [] : [`${twice} writes were done twice`]),
    ];
  }

  async #missing(primary: DatabaseNode, numbers: readonly number[]): Promise<string[]> {
    const sql = `SELECT number FROM chaos_set WHERE number = ANY ('{${numbers.join()}}'::bigint[])`;
    const rows = await primary.query(sql, READ_LIMIT_MS);
    const present = new Set(rows.map(({ number }) => Number(number)));
    const lost = numbers.filter((number) => !present.has(number));
    return lost.length === 0 ? [] : [`${lost.length} acknowledged writes are lost, such as ${lost[0]}`];
  }
}
