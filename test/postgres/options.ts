/** The command line of `npm run test:postgres`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { SUITES, type SuiteName } from './suites.js';
import { MODES, type Mode } from './targets.js';

export interface SuiteOptions {
  /** The source tree. */
  readonly checkout: string;
  readonly suites: readonly SuiteName[];
  readonly modes: readonly Mode[];
  /** Empty: all. */
  readonly tests: readonly string[];
  /** The program to compare with. */
  readonly pgbouncer: string | undefined;
  /** The folder of a server's programs. */
  readonly bindir: string | undefined;
  /** Where the build and the results are left; undefined: in a new folder. */
  readonly work: string | undefined;
  /** Whether the pool of transaction mode is shared with others. */
  readonly neighbours: boolean;
  /** For one suite. */
  readonly limitSeconds: number;
  /** For one test. */
  readonly testLimitSeconds: number;
  /** For one step of an isolation test; undefined: what suits the mode. */
  readonly stepLimitSeconds: number | undefined;
}

const HELP = `
CHECKOUT is an unpacked source tree of PostgreSQL; it is copied, and built in the copy (a C compiler, make and perl are
needed). The server has to be of the very same version: it is looked for in --bindir, then among the installed ones,
and else built from the sources, too. Debian and Ubuntu: apt-get source --download-only postgresql-15 gives the sources.

Suites:
  regress    pg_regress with parallel_schedule
  isolation  pg_isolation_regress with isolation_schedule
  pipeline   libpq_pipeline, traces compared

Modes:
  direct       the server itself
  session      through Sluice with pool_mode = session
  once         the same, and no server connection serves a second client (server_lifetime = 1ms)
  routing      in transaction mode, with strong consistency, before a primary and two standbys
  transaction  with pool_mode = transaction, in a pool that is shared with clients of other, odd settings

Every run has a new server. Ends with 0 when everything gave what test/postgres/expected-failures.ts says, with 1 when
something else failed or passed, with 2 when it could not be run.

Examples:
  npm run test:postgres -- ../postgresql-15.18
  npm run test:postgres -- ../postgresql-15.18 --pgbouncer /usr/sbin/pgbouncer --work /tmp/suites
  npm run test:postgres -- ../postgresql-15.18 --suites regress --modes session --tests guc,temp
`;

/** Reads a comma-separated list of words out of `known`. */
function listOf<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) => {
    const words = text.split(',').map((word) => word.trim());
    for (const word of words) {
      if (!known.includes(word as T)) {
        throw new InvalidArgumentError(`"${word}" is none of ${known.join(', ')}.`);
      }
    }
    return words as T[];
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

/** Reads the arguments after the script's name. Prints help or what is wrong, and ends the process, where that is due. */
export function readOptions(argv: readonly string[]): SuiteOptions {
  const command = new Command('test:postgres')
    .description("Runs PostgreSQL's own test suites directly and through Sluice, and compares.")
    .argument('<checkout>', 'source tree of PostgreSQL')
    .addOption(
      new Option('--suites <names>', 'suites to run')
        .argParser(listOf(SUITES))
        .default(SUITES, SUITES.join()),
    )
    .addOption(
      new Option('--modes <names>', 'ways to the server')
        .argParser(listOf(MODES))
        .default(MODES, MODES.join()),
    )
    .option(
      '--tests <names>',
      'only these tests, one after the other (what they need of others: name it, too)',
    )
    .option('--pgbouncer <path>', 'a PgBouncer to run the same through, for comparison')
    .option('--bindir <folder>', 'folder of postgres, initdb and psql')
    .option('--work <folder>', 'where to build and to leave results; used again by the next run')
    .option('--no-neighbours', 'in transaction mode, leave out the clients that share the pool')
    .option('--limit <seconds>', 'for one suite', positive, 1200)
    .option('--test-limit <seconds>', 'for one test', positive, 120)
    // In transaction mode the tests don't notice that a step waits, and each such step takes that long.
    .option(
      '--step-limit <seconds>',
      'for one step of an isolation test (20; in transaction mode 1)',
      positive,
    )
    .addHelpText('after', HELP)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  command.parse(argv, { from: 'user' });
  const given = command.opts();
  return {
    checkout: command.args[0]!,
    suites: given.suites,
    modes: given.modes,
    tests: given.tests?.split(',') ?? [],
    pgbouncer: given.pgbouncer,
    bindir: given.bindir,
    work: given.work,
    neighbours: given.neighbours,
    limitSeconds: given.limit,
    testLimitSeconds: given.testLimit,
    stepLimitSeconds: given.stepLimit,
  };
}
