/** The command `sluice up` and its options. What it does is loaded when it is called, so that `--help` is quick. */
import { type Command, InvalidArgumentError } from 'commander';
import type { UpFlags } from './up-command.js';

const DEFAULT_PORT = 6432;
const DEFAULT_STANDBYS = 2;
/** Each takes memory and a WAL sender of the primary. */
const STANDBYS_MAX = 8;

/** Adds `up` to the program. */
export function registerUp(program: Command): void {
  program
    .command('up')
    .description(
      'create and run a PostgreSQL primary with standbys on this machine, and the gateway in front of it',
    )
    .option('--data <folder>', 'where everything is kept (default: .sluice in the current folder)')
    .option('--port <number>', 'port of the gateway', integer(1, 65_535), DEFAULT_PORT)
    .option(
      '--pg-port <number>',
      'port of the primary; the standbys take the next ones (default: 5433, or free ones)',
      integer(1, 65_535),
    )
    .option('--pg-bin <folder>', "folder of PostgreSQL's programs (default: searched for)")
    .option('--standbys <number>', 'number of standbys', integer(0, STANDBYS_MAX), DEFAULT_STANDBYS)
    .option('--reset', 'delete the data and make them anew')
    .option('--yes', "don't ask before deleting")
    .action(async (flags: UpFlags) => {
      const { up } = await import('./up-command.js');
      const code = await up(flags);
      process.exit(code === 0 ? process.exitCode : code);
    });
}

function integer(least: number, greatest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= greatest && text.trim() !== '') return value;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${greatest}.`);
  };
}
