/**
 * The tests of PostgreSQL's suites that do not give through Sluice what they give directly. A test that fails and is not
 * named here fails the run; so does one that is named and passes.
 */
import type { SuiteName } from './suites.js';
import type { Mode } from './targets.js';

/** One test in one mode, and why it differs. */
export interface ExpectedFailure {
  readonly suite: SuiteName;
  readonly mode: Mode;
  readonly test: string;
  readonly reason: string;
}

export const EXPECTED_FAILURES: readonly ExpectedFailure[] = [];
