/** What a person reads of rounds. */
import { median } from './load/oracles.js';
import type { Round } from './round.js';

const seconds = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1_000).toFixed(2)} s` : 'never');

/** The lines of one round. */
export function roundLines(round: Round): string[] {
  const { gapMs, takenOverMs, lost, twoPrimaries, writable, harmed } = round;
  const rejoined =
    round.rejoinedMs === null ? 'did not come back' : `back after ${seconds(round.rejoinedMs)}`;
  const lines = [
    `without a write ${seconds(gapMs)}, another primary after ${seconds(takenOverMs)}, the old one ${rejoined}`,
    `acknowledged ${round.acknowledged}, lost ${lost.length}; failed between transactions: ${harmed.length}`,
  ];
  for (const { kind, what, code, message, underWay, count } of round.failures.slice(0, 12)) {
    const when = underWay ? 'under way' : 'later';
    lines.push(`  ${count} x ${kind} ${what} (${when}): ${code} ${message.split('\n')[0]}`);
  }
  if (round.insideMs !== null) {
    lines.push(
      `the cut-off primary acknowledged to its own machine until ${seconds(round.insideMs)} after the fault`,
    );
  }
  if (writable.length > 1) lines.push(`TWO WRITABLE PRIMARIES at the end: ${writable.join(' and ')}`);
  for (const { older, newer, afterMs } of twoPrimaries) {
    lines.push(
      `TWO PRIMARIES: ${older.server} (timeline ${older.timeline}) was sent and acknowledged a write ` +
        `${seconds(afterMs)} after ${newer.server} (timeline ${newer.timeline}) had acknowledged one`,
    );
  }
  return lines;
}

/** One line for a row of rounds. */
export function summary(rounds: readonly Round[]): string {
  const of = (values: readonly number[]) =>
    `${seconds(median(values))} (worst ${seconds(Math.max(...values))})`;
  const sum = (count: (round: Round) => number) => rounds.reduce((total, round) => total + count(round), 0);
  const back = rounds.flatMap(({ rejoinedMs }) => (rejoinedMs === null ? [] : [rejoinedMs]));
  return [
    `${rounds.length} rounds`,
    `longest time without a write: median ${of(rounds.map(({ gapMs }) => gapMs))}`,
    `another primary: median ${of(rounds.map(({ takenOverMs }) => takenOverMs))}`,
    `failed between transactions: ${sum(({ harmed }) => harmed.length)}`,
    `failed in all: ${sum((round) => round.failures.reduce((total, { count }) => total + count, 0))}`,
    `acknowledged: ${sum((round) => round.acknowledged)}, of these lost: ${sum(({ lost }) => lost.length)}`,
    `rounds with two primaries: ${sum((round) => (round.twoPrimaries.length + (round.writable.length > 1 ? 1 : 0) > 0 ? 1 : 0))}`,
    back.length === 0
      ? 'old primary never back'
      : `old primary back in ${back.length} rounds: median ${of(back)}`,
  ].join('; ');
}
