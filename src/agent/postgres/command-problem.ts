/** What people are told of a command that has failed. */
import type { NodeProblem } from '../../cluster/node-facts.js';
import { AgentError } from '../agent-error.js';
import type { PostgresEffect } from './postgres-side.js';

/** Registrations carry it, so it is short. */
const LENGTH_MAX = 400;
/** Where PostgreSQL or one of its programs says what was wrong. */
const COMPLAINT = /\b(?:FATAL|PANIC|ERROR|error|line \d+): .*/;

/** Commands after which a node that gets on has none of the problems before. */
const TEXTS: Readonly<Partial<Record<PostgresEffect['do'], string>>> = {
  start: 'PostgreSQL did not start',
  follow: 'PostgreSQL was not told whom to follow, which is tried again',
  detach: 'it did not leave its primary',
  promote: 'PostgreSQL was not promoted',
  rewind: 'it was not rewound',
  clone: 'it was not cloned',
  open: 'clients are not let in by the rules that are written',
};

/** Whether the success of a command ends the problem of an earlier one. */
export function isProgress(command: PostgresEffect['do']): boolean {
  return TEXTS[command] !== undefined;
}

/** Null: nobody has to know more than that it is tried again. */
export function problemOf(command: PostgresEffect['do'], error: Error): NodeProblem | null {
  const what = TEXTS[command];
  if (what === undefined) return null;
  const [first = '', ...more] = [...error.message.split('\n'), ...adviceOf(error)];
  const complaint = more.map((line) => COMPLAINT.exec(line)?.[0]).findLast((line) => line !== undefined);
  const text = [what, first, ...(complaint === undefined ? [] : [complaint])].join(': ');
  return { text: text.slice(0, LENGTH_MAX), advice: "Its agent's log says more. It is tried again." };
}

/** e.g. the last lines of PostgreSQL's log. */
export function adviceOf(error: unknown): readonly string[] {
  return error instanceof AgentError ? error.advice : [];
}
