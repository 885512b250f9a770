/** A session that reads and writes registers, in all the ways in which applications ask. */
import type { SeededRandom } from '../fuzz/random.js';
import { type Cluster, REGISTERS } from './cluster.js';
import { writeChance } from './lulls.js';
import type { Recorder } from './recorder.js';
import type { Request, Session } from './session.js';

/** What a session needs to work and to tell of it. */
export interface Work {
  readonly id: number;
  readonly session: Session;
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
  /** False: the round is over. */
  readonly goesOn: () => boolean;
}

/** Reads that ask for the registers `keys`, each statement's rows with `key`, `value` and `node`. */
type ReadForm = (keys: readonly number[]) => readonly Request[];

const COLUMNS = 'key, value, served_by() AS node';

/**
 * Statements of one form are one read: they begin together but for those of a transaction at READ COMMITTED, each of which must
 * see what was acknowledged before it.
 */
const READS: Readonly<Record<string, ReadForm>> = {
  simple: ([key]) => [{ text: `SELECT ${COLUMNS} FROM registers WHERE key = ${key}` }],
  parameter: ([key]) => [{ text: `SELECT ${COLUMNS} FROM registers WHERE key = $1`, values: [key] }],
  prepared: ([key]) => [
    { text: `SELECT ${COLUMNS} FROM registers WHERE key = $1`, values: [key], name: 'one_register' },
  ],
  'several rows': (keys) => [
    { text: `SELECT ${COLUMNS} FROM registers WHERE key = ANY ($1)`, values: [keys], name: 'registers' },
  ],
  view: ([key]) => [{ text: `SELECT * FROM shown WHERE key = ${key}` }],
  'view, parameter': ([key]) => [{ text: 'SELECT * FROM shown WHERE key = $1', values: [key] }],
  'view, prepared': ([key]) => [{ text: 'SELECT * FROM shown WHERE key = $1', values: [key], name: 'shown' }],
  'several statements': ([one, other]) => [
    {
      text: `SELECT ${COLUMNS} FROM registers WHERE key = ${one}; SELECT ${COLUMNS} FROM registers WHERE key = ${other}`,
    },
  ],
  'read only transaction': ([one, other]) => inTransaction('BEGIN READ ONLY', one!, other!),
  'repeatable transaction': ([one, other]) =>
    inTransaction('/* sluice: standby */ BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', one!, other!),
  'read write transaction': ([one, other]) => inTransaction('BEGIN', one!, other!),
};

function inTransaction(begin: string, one: number, other: number): readonly Request[] {
  const text = `SELECT ${COLUMNS} FROM registers WHERE key = $1`;
  return [{ text: begin }, { text, values: [one] }, { text, values: [other] }, { text: 'COMMIT' }];
}

/** Writes that add one to a register and give its new `value`. */
const WRITES: Readonly<Record<string, (key: number) => readonly Request[]>> = {
  simple: (key) => [{ text: `UPDATE registers SET value = value + 1 WHERE key = ${key} RETURNING value` }],
  prepared: (key) => [
    {
      text: 'UPDATE registers SET value = value + 1 WHERE key = $1 RETURNING value',
      values: [key],
      name: 'write',
    },
  ],
  'in a WITH': (key) => [
    {
      text: 'WITH written AS (UPDATE registers SET value = value + 1 WHERE key = $1 RETURNING value) SELECT value FROM written',
      values: [key],
    },
  ],
  function: (key) => [{ text: 'SELECT bump($1) AS value', values: [key] }],
  'read write transaction': (key) => [
    { text: 'BEGIN' },
    { text: 'SELECT value AS before FROM registers WHERE key = $1', values: [key] },
    { text: 'UPDATE registers SET value = value + 1 WHERE key = $1 RETURNING value', values: [key] },
    { text: 'COMMIT' },
  ],
};

const WRITE_CHANCE = 0.25;
/** After a write, its own session looks. */
const LOOK_CHANCE = 0.5;
const ROWS = 4;

/** Reads and writes until the round is over. */
export async function workOnRegisters(work: Work): Promise<void> {
  const { random } = work;
  while (work.goesOn() && !work.session.lost) {
    const keys = distinctKeys(random);
    if (random.chance(writeChance(work.recorder.now(), WRITE_CHANCE))) {
      await write(work, keys[0]!);
      if (!random.chance(LOOK_CHANCE)) continue;
    }
    await read(work, keys);
  }
}

/** The same without reads. */
export async function writeRegisters(work: Work, rest: () => Promise<unknown>): Promise<void> {
  while (work.goesOn() && !work.session.lost) {
    await rest();
    await write(work, work.random.below(REGISTERS));
  }
}

function distinctKeys(random: SeededRandom): number[] {
  const first = random.below(REGISTERS);
  return Array.from({ length: ROWS }, (_, index) => (first + index) % REGISTERS);
}

async function read(work: Work, keys: readonly number[]): Promise<void> {
  const { id, session, cluster, recorder, random } = work;
  const form = random.pick(Object.keys(READS));
  const requests = READS[form]!(keys);
  // At REPEATABLE READ what was acknowledged before the first statement is all that must be seen.
  const together = form === 'repeatable transaction';
  const begin = recorder.now();
  try {
    for (const request of requests) {
      const start = together ? begin : recorder.now();
      const rows = await session.run(request);
      const end = recorder.now();
      for (const row of rows) {
        const node = cluster.nameOf(row.node);
        recorder.servedBy(node, form);
        recorder.operations.push({
          ...{ kind: 'read', session: id, key: row.key, value: Number(row.value) },
          ...{ start, end, node, form },
        });
      }
    }
  } catch (error) {
    await giveUp(work, `read by ${form}`, requests.length > 1, error);
  }
}

async function write(work: Work, key: number): Promise<void> {
  const { id, session, recorder, random } = work;
  const form = random.pick(Object.keys(WRITES));
  const requests = WRITES[form]!(key);
  const start = recorder.now();
  const note = (value: number | null): void => {
    recorder.operations.push({ kind: 'write', session: id, key, value, start, end: recorder.now(), form });
  };
  let value: number | null = null;
  try {
    for (const request of requests) {
      for (const row of await session.run(request)) if (row.value !== undefined) value = Number(row.value);
    }
    note(value);
  } catch (error) {
    note(null);
    await giveUp(work, `write by ${form}`, requests.length > 1, error);
  }
}

/** Takes a failure down, and leaves the transaction. */
export async function giveUp(
  { id, session, recorder }: Work,
  what: string,
  inTransaction: boolean,
  error: unknown,
): Promise<void> {
  const { code, message } = error as { code?: string; message: string };
  // A transaction that PostgreSQL aborts for another's sake is for its client to repeat; a single read is not.
  if (inTransaction && code?.startsWith('40')) recorder.conflicts += 1;
  else recorder.failures.push(`session ${id}, ${what}: ${code ?? 'no SQLSTATE'} ${message}`);
  if (inTransaction) await session.run({ text: 'ROLLBACK' }).catch(() => {});
}
