/** `sluice check`: whether the pools of a configuration fit the servers behind them, and what size would do. */
import { type Command, InvalidArgumentError } from 'commander';
import type { ConfigSources } from '../config/load.js';
import { ConfigError } from '../config/problem.js';
import type { Verdict } from '../control/capacity/judge.js';
import { UsageError } from './usage-error.js';

interface CheckFlags {
  readonly database?: readonly string[];
  readonly set?: readonly string[];
  readonly user?: string;
  readonly gateways: number;
  readonly timeout: number;
  readonly json?: true;
}

const EXIT_CODES: Readonly<Record<Verdict, number>> = { fits: 0, 'too-many': 1, unknown: 2 };

const NOTHING_TO_CHECK = `nothing to check: name a configuration file or a database, for example
  sluice check sluice.yaml
  sluice check --database postgres://app:secret@127.0.0.1:5432/app`;

const TEXT = `
Each pool (one database and one user) may open its pool_size and reserve_pool_size of connections, and
max_db_connections and max_user_connections bound their sum. A server takes max_connections, without
superuser_reserved_connections and reserved_connections. The command compares the two for every server of the
configuration, and changes nothing anywhere.

It logs in as --user if that is given, else as the user that a database is entered with, else as a user whose password
the configuration knows. Any user may ask; no rights are needed. A password that the configuration doesn't hold is taken
from the environment: PGPASSWORD.

Exit code: 0 if everything fits, 1 if it doesn't, 2 if that can't be told (a server doesn't answer, nothing bounds the
number of pools, the configuration has mistakes).

Examples:
  sluice check /etc/pgbouncer/pgbouncer.ini
      Do the pools fit?
  sluice check sluice.yaml --gateways 3
      Do they fit when three gateways (pods, machines) run with this file?
  sluice check sluice.yaml --set default_pool_size=40
      Would this size fit?
  PGPASSWORD=secret sluice check sluice.yaml --user monitor --json
      The same for a program.`;

/** Adds `check` to the command line. */
export function registerCheck(program: Command): void {
  program
    .command('check')
    .summary('whether the pools fit the servers, and what size would do')
    .description(
      'Asks the servers of a configuration for their limits and says whether the pools fit in them.',
    )
    .argument('[FILE]', 'configuration file: YAML, or a pgbouncer.ini by its ending')
    .option('-d, --database <URL>', 'a database, as for "sluice serve" (repeatable)', collect)
    .option('-s, --set <NAME=VALUE>', 'any setting, by its name (repeatable)', collect)
    .option('-u, --user <NAME>', 'log in to the servers as this user')
    .option('-g, --gateways <N>', 'how many gateways run with this configuration', positive, 1)
    .option('-t, --timeout <SECONDS>', 'how long a server may take to answer', positive, 5)
    .option('--json', 'print JSON')
    .addHelpText('after', TEXT)
    .action(check);
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function positive(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 100_000) {
    throw new InvalidArgumentError('a whole number from 1 to 100000');
  }
  return number;
}

/** A configuration with mistakes is told as everywhere, and is none of which the answer could be given. */
async function check(file: string | undefined, flags: CheckFlags): Promise<void> {
  try {
    await answer(file, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT_CODES.unknown;
  }
}

async function answer(file: string | undefined, flags: CheckFlags): Promise<void> {
  const { database: databases = [], set = [] } = flags;
  if (file === undefined && databases.length === 0) throw new UsageError(NOTHING_TO_CHECK);
  const sources: ConfigSources = { ...(file === undefined ? {} : { file }), databases, set };
  const [{ loadConfig }, { checkCapacity }, { formatCapacity, capacityJson }, { createStepProgress }] =
    await Promise.all([
      import('../config/load.js'),
      import('../control/capacity/check-capacity.js'),
      import('./capacity-text.js'),
      import('./step-progress.js'),
    ]);
  const config = await loadConfig(sources);
  // What is printed on standard output is the answer alone.
  const progress = createStepProgress(process.stderr);
  let asked = '';
  const report = await checkCapacity(config, {
    login: { user: flags.user ?? null, password: process.env.PGPASSWORD ?? null },
    gateways: flags.gateways,
    timeoutMs: flags.timeout * 1000,
    onServer: (server) => {
      if (asked !== '') progress.end(`asked ${asked}`);
      asked = server;
      progress.begin(`asking ${server}`);
    },
  });
  if (asked !== '') progress.end(`asked ${asked}`);
  progress.close();
  process.stdout.write(flags.json ? capacityJson(report) : formatCapacity(report, flags.gateways));
  process.exitCode = EXIT_CODES[report.verdict];
}
