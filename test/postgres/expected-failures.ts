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
  /** It passes at times: that depends on which server process the test meets. */
  readonly atTimes?: true;
}

/** What DISCARD ALL can't undo. `server_lifetime = 1ms` (mode `once`) avoids it. */
const USED_BEFORE = 'the server process has served another client before';

/** In both modes in which server processes are used again. */
function inPools(suite: SuiteName, test: string, what: string): ExpectedFailure[] {
  const reason = `${USED_BEFORE}: ${what}`;
  return (['session', 'transaction'] as const).map((mode) => ({ suite, mode, test, reason, atTimes: true }));
}

function firstCurrval(test: string): ExpectedFailure {
  const reason =
    'its first currval() comes after another client has had the server connection of its nextval()';
  return { suite: 'regress', mode: 'transaction', test, reason, atTimes: true };
}

export const EXPECTED_FAILURES: readonly ExpectedFailure[] = [
  ...inPools('regress', 'guc', 'it has loaded PL/pgSQL, whose prefix of settings is reserved from then on'),
  ...inPools(
    'regress',
    'temp',
    'it has its temporary schema, whose making would have kept a transaction from being prepared',
  ),
  ...inPools(
    'regress',
    'stats',
    'a new client is no new session, and counts of several processes come later',
  ),
  firstCurrval('constraints'),
  firstCurrval('limit'),
  firstCurrval('sequence'),
];
