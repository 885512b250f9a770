/**
 * Reads what PostgreSQL's test driver prints (pg_regress, and pg_isolation_regress, which is the same program): the lines
 * of PostgreSQL 15 and before (`     boolean      ... ok   12 ms`), and of 16 and after (`not ok 3  + boolean  12 ms`).
 */

/** One test, as the driver judges it. */
export interface TestOutcome {
  readonly test: string;
  readonly passed: boolean;
}

const OLD_LINE = /^(?:test)?\s+(\S+)\s+\.\.\. (ok|FAILED|failed)\b/;
const TAP_LINE = /^(not ok|ok) \d+\s+[-+] (\S+)/;

/** Null: the line tells of no test. */
export function readOutcome(line: string): TestOutcome | null {
  const old = OLD_LINE.exec(line);
  if (old !== null) return { test: old[1]!, passed: old[2] === 'ok' };
  const tap = TAP_LINE.exec(line);
  return tap === null ? null : { test: tap[2]!, passed: tap[1] === 'ok' };
}

/** The tests that a schedule names, in its order. Lines are `test: name name ...`. */
export function testsOfSchedule(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const names = /^test:\s*(.*)$/.exec(line)?.[1];
    return names === undefined ? [] : names.trim().split(/\s+/);
  });
}
