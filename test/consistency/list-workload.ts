/** A session that appends to lists and reads them, in transactions. */
import type { ListStep } from './history.js';
import type { ListNumbers } from './list-numbers.js';
import { writeChance } from './lulls.js';
import { giveUp, type Work } from './register-workload.js';

const APPEND = `INSERT INTO lists VALUES ($1, ARRAY[$2::int])
  ON CONFLICT (key) DO UPDATE SET elements = lists.elements || excluded.elements RETURNING current_setting('port') AS node`;
const READ = 'SELECT served_by() AS node, (SELECT elements FROM lists WHERE key = $1) AS elements';

const READ_ONLY = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const WRITING = ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'BEGIN ISOLATION LEVEL SERIALIZABLE'];
const STEPS_MAX = 4;
const WRITING_CHANCE = 0.3;
const ALONE_CHANCE = 0.5;
const ROLLBACK_CHANCE = 0.1;

/** Runs transactions until the round is over. */
export async function workOnLists(work: Work, numbers: ListNumbers): Promise<void> {
  const { random } = work;
  while (work.goesOn() && !work.session.lost) {
    const writing = random.chance(writeChance(work.recorder.now(), WRITING_CHANCE));
    if (random.chance(ALONE_CHANCE)) await runSteps(work, numbers, null, [writing]);
    else {
      const begin = writing ? random.pick(WRITING) : READ_ONLY;
      const steps = Array.from({ length: 1 + random.below(STEPS_MAX) }, () => writing && random.chance(0.5));
      await runSteps(work, numbers, begin, steps);
    }
  }
}

/**
 * One transaction. `begin`: null, its only statement is committed by itself. `appends`: for each step whether it appends.
 */
async function runSteps(
  work: Work,
  numbers: ListNumbers,
  begin: string | null,
  appends: readonly boolean[],
): Promise<void> {
  const { id, session, recorder, random } = work;
  const steps: ListStep[] = [];
  const nodes = new Set<string>();
  const start = recorder.now();
  const note = (outcome: 'committed' | 'aborted' | 'unknown'): void => {
    const node = [...nodes].join(' and ');
    recorder.transactions.push({ session: id, steps, start, end: recorder.now(), outcome, node });
  };
  const rollsBack = begin !== null && appends.includes(true) && random.chance(ROLLBACK_CHANCE);
  let committing = begin === null;
  try {
    if (begin !== null) await session.run({ text: begin });
    for (const isAppend of appends) {
      const key = isAppend ? numbers.keyToAppend(random) : numbers.key(random);
      nodes.add(await (isAppend ? append(work, key, numbers.element(), steps) : read(work, key, steps)));
    }
    committing = !rollsBack;
    if (begin !== null) await session.run({ text: rollsBack ? 'ROLLBACK' : 'COMMIT' });
    note(rollsBack ? 'aborted' : 'committed');
  } catch (error) {
    // An error of the server's says that nothing was committed.
    const isAnswer = (error as { severity?: string }).severity === 'ERROR';
    note(committing && !isAnswer ? 'unknown' : 'aborted');
    await giveUp(work, `transaction (${begin ?? 'none'})`, begin !== null, error);
  }
}

/** @returns the node */
async function append(
  { cluster, session }: Work,
  key: number,
  element: number,
  steps: ListStep[],
): Promise<string> {
  steps.push({ append: element, key });
  const [row] = await session.run({ text: APPEND, values: [key, element], name: 'append' });
  return cluster.nameOf(row?.node);
}

async function read({ cluster, recorder, session }: Work, key: number, steps: ListStep[]): Promise<string> {
  const [row] = await session.run({ text: READ, values: [key], name: 'list' });
  steps.push({ read: row?.elements ?? [], key });
  const node = cluster.nameOf(row?.node);
  recorder.servedBy(node, 'list');
  return node;
}
