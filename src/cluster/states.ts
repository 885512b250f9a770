/**
 * The states of a node's agent, and what leads from one to the next. The machine takes no other way than these, the
 * documentation's table is drawn from them, and a test walks through all of them.
 */

/** A state, the event that ends it, and the state that follows. */
export const TRANSITIONS = [
  // Every life of an agent begins here: whatever runs is ended before anything is asked.
  ['fencing', 'PostgreSQL has ended', 'fenced'],

  ['fenced', 'its data is whole', 'starting'],
  ['fenced', 'its data is of no use, and somebody leads', 'cloning'],
  ['fenced', 'an operator wants its data anew', 'cloning'],

  ['starting', 'it runs as a standby of nobody', 'standing'],
  ['starting', 'it did not start', 'fenced'],
  ['starting', 'PostgreSQL has ended', 'fenced'],

  ['standing', 'a leader whose WAL goes on from ours', 'following'],
  ['standing', 'a leader whose WAL has left ours behind', 'rejoining'],
  ['standing', 'a leader whose timelines could be taken for ours', 'cloning'],
  ['standing', 'an operator wants its data anew', 'cloning'],
  ['standing', 'elected', 'acquiring'],
  ['standing', 'PostgreSQL has ended', 'fenced'],

  ['following', 'nobody leads, or somebody else', 'detaching'],
  ['following', 'the WAL that it needs is gone', 'cloning'],
  ['following', 'nothing comes, though it would be sent', 'fencing'],
  ['following', 'an operator wants its data anew', 'cloning'],
  ['following', 'PostgreSQL has ended', 'fenced'],

  ['detaching', 'it receives nothing more', 'standing'],
  ['detaching', 'that is not certain', 'fencing'],
  ['detaching', 'PostgreSQL has ended', 'fenced'],

  ['acquiring', 'the lease is ours', 'promoting'],
  ['acquiring', 'the lease is not ours', 'standing'],
  ['acquiring', 'PostgreSQL has ended', 'fenced'],

  ['promoting', 'promoted', 'publishing'],
  ['promoting', 'it was not promoted', 'fencing'],
  ['promoting', 'the lease is lost, or about to be', 'fencing'],
  ['promoting', 'PostgreSQL has ended', 'fenced'],

  ['publishing', 'the epoch is published', 'opening'],
  ['publishing', 'the lease is lost, or about to be', 'fencing'],
  ['publishing', 'PostgreSQL has ended', 'fenced'],

  ['opening', 'what was acknowledged before is where the rule says', 'leading'],
  ['opening', 'the lease is lost, or about to be', 'fencing'],
  ['opening', 'PostgreSQL has ended', 'fenced'],

  ['leading', 'a switchover is asked for', 'draining'],
  ['leading', 'nothing can be written', 'fencing'],
  ['leading', 'the lease is lost, or about to be', 'fencing'],
  ['leading', 'PostgreSQL has ended', 'fenced'],

  ['draining', 'running transactions have ended, or their time has', 'yielding'],
  ['draining', 'the switchover is called off', 'leading'],
  ['draining', 'the lease is lost, or about to be', 'fencing'],
  ['draining', 'PostgreSQL has ended', 'fenced'],

  ['yielding', 'PostgreSQL has ended', 'fenced'],
  ['yielding', 'it did not end in time', 'fencing'],
  ['yielding', 'the lease is lost, or about to be', 'fencing'],

  ['rejoining', 'rewound', 'fenced'],
  ['rejoining', 'it could not be rewound', 'fenced'],

  ['cloning', 'cloned', 'fenced'],
  ['cloning', 'it could not be cloned', 'fenced'],
] as const;

type Row = (typeof TRANSITIONS)[number];
/** What a node's agent is at. */
export type StateName = Row[0];
/** What ends a state. */
export type EventName = Row[1];

/** All of them, in the order in which they stand in the table. */
export const STATE_NAMES: readonly StateName[] = [...new Set(TRANSITIONS.map(([from]) => from))];

/** Those in which the lease is held, renewed, and given up before it can pass to another. */
export const HOLDING_STATES: ReadonlySet<StateName> = new Set([
  'promoting',
  'publishing',
  'opening',
  'leading',
  'draining',
  'yielding',
] satisfies StateName[]);

/** Those in which PostgreSQL runs, so that it can end by itself. */
export const RUNNING_STATES: ReadonlySet<StateName> = new Set([
  ...HOLDING_STATES,
  'starting',
  'standing',
  'following',
  'detaching',
  'acquiring',
] satisfies StateName[]);

/** The state after an event. Throws if the table has no such row: the machine would be wrong. */
export function stateAfter(state: StateName, event: EventName): StateName {
  const row = TRANSITIONS.find(([from, on]) => from === state && on === event);
  if (row === undefined) throw new Error(`no way leads from ${state} by: ${event}`);
  return row[2];
}

/** The table as the documentation has it. */
export function transitionsMarkdown(): string {
  const rows = TRANSITIONS.map(([from, on, to]) => `| \`${from}\` | ${on} | \`${to}\` |`);
  return ['| state | event | next |', '|---|---|---|', ...rows, ''].join('\n');
}
