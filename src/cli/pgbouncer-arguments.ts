/** PgBouncer's own command line (its manual, "pgbouncer"). */
import { parseArgs } from 'node:util';

/** What the command line asks for. */
export type PgbouncerRequest =
  | { readonly kind: 'help' | 'version' }
  /** The sentence to be printed; exit code 1. */
  | { readonly kind: 'mistake'; readonly message: string }
  | {
      readonly kind: 'run';
      readonly file: string;
      readonly daemon: boolean;
      readonly quiet: boolean;
      readonly reboot: boolean;
      /** How often `-v` stands there. */
      readonly verbose: number;
      readonly user: string | null;
    };

const OPTIONS = {
  daemon: { type: 'boolean', short: 'd' },
  quiet: { type: 'boolean', short: 'q' },
  verbose: { type: 'boolean', short: 'v', multiple: true },
  reboot: { type: 'boolean', short: 'R' },
  user: { type: 'string', short: 'u' },
  version: { type: 'boolean', short: 'V' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const PGBOUNCER_HELP = `sluice pgbouncer stands in for PgBouncer: a connection pooler for PostgreSQL.

Usage:
  sluice pgbouncer [OPTION]... CONFIG_FILE

Options:
  -d, --daemon         run in background (as a daemon)
  -q, --quiet          run quietly
  -R, --reboot         do an online reboot
  -u, --user=USERNAME  assume identity of USERNAME
  -v, --verbose        increase verbosity
  -V, --version        show version, then exit
  -h, --help           show this help, then exit

CONFIG_FILE is a pgbouncer.ini, or a YAML file ("sluice config docs" explains both).
A script of one line can take the place of the program pgbouncer:
  exec sluice pgbouncer "$@"
`;

/** Reads the arguments that stand behind `sluice pgbouncer`. */
export function parsePgbouncerArguments(argv: readonly string[]): PgbouncerRequest {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    return { kind: 'mistake', message: (error as Error).message };
  }
  const { values, positionals } = parsed;
  if (values.help) return { kind: 'help' };
  if (values.version) return { kind: 'version' };
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) {
    const message =
      file === undefined ? 'no configuration file specified' : 'more than one configuration file';
    return { kind: 'mistake', message };
  }
  return {
    kind: 'run',
    file,
    daemon: values.daemon ?? false,
    quiet: values.quiet ?? false,
    reboot: values.reboot ?? false,
    verbose: values.verbose?.length ?? 0,
    user: values.user ?? null,
  };
}

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
}
