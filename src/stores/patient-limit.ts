/** Limits of time for a process that may stand still. */

/**
 * Calls back after `ms`, yet not before what has arrived until then has been looked at. A process that stood still finds
 * its timers over and the answers in its sockets, and Node.js looks at timers first: without this, a late loop would take
 * for lost what is there. Returns what calls it off.
 */
export function patientLimit(ms: number, onOver: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(onOver);
  }, ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}
