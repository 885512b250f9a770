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

/** `server_lifetime = 1ms` (mode `once`) avoids it. */
const USED_BEFORE = 'the server process has served another client before';

/** @param what of that shows */
function usedBefore(test: string, what: string, ...modes: Mode[]): ExpectedFailure[] {
  const reason = `${USED_BEFORE}: ${what}`;
  return modes.map((mode) => ({ suite: 'regress', mode, test, reason, atTimes: true }));
}

function firstCurrval(test: string): ExpectedFailure {
  const reason =
    'its first currval() comes after another client has had the server connection of its nextval()';
  return { suite: 'regress', mode: 'transaction', test, reason, atTimes: true };
}

/**
 * isolationtester asks the server whether a session waits for another by the process ids that both were told at their
 * logins, and tells whose a notification is by the same.
 */
const BY_PROCESS_ID = `
  read-only-anomaly-3 read-write-unique read-write-unique-2 read-write-unique-3 read-write-unique-4
  deadlock-simple deadlock-hard deadlock-soft deadlock-soft-2 deadlock-parallel
  detach-partition-concurrently-1 detach-partition-concurrently-2 detach-partition-concurrently-3
  detach-partition-concurrently-4 fk-deadlock fk-deadlock2 fk-partitioned-1 fk-partitioned-2
  fk-snapshot eval-plan-qual eval-plan-qual-trigger intra-grant-inplace intra-grant-inplace-db
  lock-update-delete lock-update-traversal inherit-temp temp-schema-cleanup insert-conflict-do-nothing
  insert-conflict-do-nothing-2 insert-conflict-do-update insert-conflict-do-update-2
  insert-conflict-do-update-3 insert-conflict-do-update-4 insert-conflict-specconflict
  merge-insert-update merge-delete merge-update merge-match-recheck merge-join delete-abort-savept
  delete-abort-savept-2 aborted-keyrevoke multixact-no-deadlock multixact-no-forget
  lock-committed-update lock-committed-keyupdate reindex-concurrently reindex-concurrently-toast
  reindex-schema propagate-lock-delete tuplelock-conflict tuplelock-update
  tuplelock-upgrade-no-deadlock tuplelock-partition nowait-3 nowait-4 nowait-5 skip-locked-3
  skip-locked-4 drop-index-concurrently-1 multiple-cic alter-table-1 alter-table-2 alter-table-3
  alter-table-4 create-trigger sequence-ddl async-notify vacuum-concurrent-drop vacuum-conflict
  vacuum-skip-locked partition-concurrent-attach partition-drop-index-locking partition-key-update-1
  partition-key-update-2 partition-key-update-3 partition-key-update-4 plpgsql-toast cluster-conflict
  cluster-conflict-partition truncate-conflict
`;

function byProcessId(test: string): ExpectedFailure {
  const reason = 'the process id that a client is told is none of the server’s';
  return { suite: 'isolation', mode: 'transaction', test, reason };
}

export const EXPECTED_FAILURES: readonly ExpectedFailure[] = [
  ...usedBefore(
    'guc',
    'it has loaded PL/pgSQL, whose prefix of settings is reserved from then on',
    'transaction',
  ),
  ...usedBefore(
    'temp',
    'it has its temporary schema, whose making would have kept a transaction from being prepared',
    'transaction',
  ),
  ...usedBefore('stats', 'a new client is no new session', 'session'),
  ...usedBefore(
    'stats',
    'a new client is no new session, and counts of several processes come later',
    'transaction',
  ),
  firstCurrval('constraints'),
  firstCurrval('limit'),
  firstCurrval('sequence'),
  {
    suite: 'regress',
    mode: 'transaction',
    test: 'triggers',
    reason:
      "refint of contrib/spi keeps in each server process a plan with the values of the plan's first use there",
    atTimes: true,
  },
  {
    suite: 'regress',
    mode: 'routing',
    test: 'create_index',
    reason:
      'a VACUUM that meets the reading of the catalogue marks no page as visible to all, as with any other session that has a snapshot, and what is planned behind it differs',
    atTimes: true,
  },
  ...BY_PROCESS_ID.trim().split(/\s+/).map(byProcessId),
  {
    suite: 'isolation',
    mode: 'transaction',
    test: 'stats',
    reason: 'each server process tells its own counts, at its own time',
    atTimes: true,
  },
];
