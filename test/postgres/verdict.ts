/** Judges a suite's result by the list of expected failures. */
import type { ExpectedFailure } from './expected-failures.js';
import type { SuiteName, SuiteResult } from './suites.js';
import { type Route, routeName } from './targets.js';

/** A suite's result by one route, judged. */
export interface Verdict {
  /** e.g. `regress, Sluice, session mode: 216 of 217` */
  readonly summary: string;
  /** What differs, a line each. */
  readonly differences: readonly string[];
  /** Whether that is what was expected. Nothing is expected of PgBouncer: its figures are for comparison. */
  readonly asExpected: boolean;
}

export function judge(
  suite: SuiteName,
  route: Route,
  result: SuiteResult,
  expected: readonly ExpectedFailure[],
): Verdict {
  const known = new Map<string, ExpectedFailure>();
  for (const entry of expected) {
    // What differs in transaction mode differs there with routing, too.
    const counts = entry.mode === route.mode || (route.mode === 'routing' && entry.mode === 'transaction');
    if (entry.suite === suite && counts) known.set(entry.test, entry);
  }
  const judged = route.pooler !== 'PgBouncer';
  const differences: string[] = [];
  let asExpected = true;
  for (const test of result.tests) {
    const { reason, atTimes } = (judged ? known.get(test) : undefined) ?? {};
    if (result.passed.has(test)) {
      if (reason === undefined || atTimes === true) continue;
      differences.push(`${test}: passed, but was expected to fail (${reason})`);
      asExpected = false;
      continue;
    }
    const what = result.failed.has(test) ? 'failed' : 'did not come to its end';
    if (judged && reason === undefined) asExpected = false;
    differences.push(`${test}: ${what}${reason === undefined ? '' : ` (expected: ${reason})`}`);
  }
  const stopped = result.late ? ', then stopped at its limit' : '';
  const summary = `${suite}, ${routeName(route)}: ${result.passed.size} of ${result.tests.length}${stopped}`;
  return { summary, differences, asExpected: asExpected || !judged };
}
