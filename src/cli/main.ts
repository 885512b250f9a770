#!/usr/bin/env node
/**
 * The command line. Nothing but arguments, output and calls: each command loads what it needs when it runs, so that
 * `--help` is quick.
 */
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/problem.js';
import { StartError } from '../control/listen-error.js';
import { SLUICE_VERSION } from '../control/version.js';
import { registerCheck } from './check-command.js';
import { registerAgent } from './cluster/agent-command.js';
import { registerHistory } from './cluster/history-commands.js';
import { registerReinit } from './cluster/reinit-command.js';
import { registerStatus } from './cluster/status-command.js';
import { registerStore } from './cluster/store-command.js';
import { registerSwitchover } from './cluster/switchover-command.js';
import { registerWishes } from './cluster/wish-commands.js';
import { registerConfig } from './config-command.js';
import { registerKubernetes } from './kubernetes/kubernetes-command.js';
import { registerPgbouncer, runPgbouncer } from './pgbouncer.js';
import { registerRoute } from './route-command.js';
import { registerServe } from './serve.js';
import { registerUp } from './up.js';
import { UsageError } from './usage-error.js';

const EXAMPLES = `
Examples:
  sluice up                                              a PostgreSQL cluster to try, with Sluice in front of it
  sluice serve --database postgres://app:secret@127.0.0.1:5432/app
                                                         a pooler in front of a database that exists already
  sluice serve sluice.yaml                               the same from a file
  sluice pgbouncer -d /etc/pgbouncer/pgbouncer.ini       in PgBouncer's place
  sluice check sluice.yaml                               do the pools fit the servers?
  sluice route "SELECT * FROM accounts"                  primary or standby, and why
  sluice config docs                                     every setting, explained

Applications connect to port 6432 instead of 5432; nothing else changes for them.`;

async function main(argv: readonly string[]): Promise<number> {
  if (argv[2] === 'pgbouncer') return runPgbouncer(argv.slice(3));
  const program = new Command('sluice')
    .description('The connection layer of PostgreSQL: many clients over few server connections.')
    .version(`sluice ${SLUICE_VERSION}`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showSuggestionAfterError()
    .showHelpAfterError('("sluice --help" says more)')
    .exitOverride()
    .addHelpText('after', EXAMPLES);
  registerUp(program);
  registerServe(program);
  registerCheck(program);
  registerRoute(program);
  registerConfig(program);
  registerPgbouncer(program);
  registerAgent(program);
  registerStatus(program);
  registerSwitchover(program);
  registerWishes(program);
  registerReinit(program);
  registerHistory(program);
  registerStore(program);
  registerKubernetes(program);
  if (argv.length <= 2) {
    program.outputHelp();
    return 0;
  }
  await program.parseAsync(argv);
  return Number(process.exitCode ?? 0);
}

/** Says what went wrong and returns the exit code: 2 for a wrong usage, 1 for everything else. */
function explainFailure(error: unknown): number {
  // Commander has printed its message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return error.onlyFlags ? 2 : 1;
  }
  if (error instanceof UsageError || error instanceof StartError) {
    process.stderr.write(`sluice: ${error.message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
  process.stderr.write(
    `sluice: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
}

// A reader that has seen enough (`sluice config docs | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
process.exitCode = await main(process.argv).catch(explainFailure);
