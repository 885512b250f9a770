/** Tells people what has become of a node. */
import type { Io, NodeEvent } from '../io.js';
import type { NodeWatch } from './node-watch.js';
import { NOT_YET, type Standing } from './topology.js';

const WORDS: Readonly<Record<string, string>> = {
  unknown: 'unknown',
  primary: 'the primary',
  standby: 'a standby',
  foreign: 'not used',
};

/** Says what the node is from now on, if that is another thing than before. */
export function reportRole(
  io: Pick<Io, 'report'>,
  database: string,
  { node, error }: NodeWatch,
  { role, reason }: Standing,
): void {
  if ((node.role === role && node.reason === reason) || reason === NOT_YET) return;
  const isExplained = role === 'unknown' && error !== null && error.message !== reason;
  const why = isExplained ? `${reason} (${error.message})` : reason;
  io.report({
    level: reason === null ? 'info' : 'warn',
    event: eventOf(role),
    message: `node ${node.settings.name} is ${WORDS[role]}${why === null ? '' : `: ${why}`}`,
    facts: { database, node: node.settings.name },
  });
}

/** A node that is primary by its own word alone is refused. */
function eventOf(role: string): NodeEvent {
  return role === 'foreign' ? 'refused' : 'role';
}
