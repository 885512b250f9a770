/** `sluice serve`: a gateway in front of PostgreSQL servers that exist already. */
import { type Command, Option } from 'commander';
import type { ConfigSources } from '../config/load.js';
import type { LogFormat, LogLevel } from '../control/logging.js';
import { UsageError } from './usage-error.js';

interface ServeFlags {
  readonly database?: readonly string[];
  readonly listen?: readonly string[];
  readonly set?: readonly string[];
  readonly io?: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly takeover?: true;
  readonly check?: true;
}

const NOTHING_TO_SERVE = `nothing to serve: name a configuration file or a database, for example
  sluice serve --database postgres://app:secret@127.0.0.1:5432/app
  sluice serve sluice.yaml`;

const EXAMPLES = `
Examples:
  sluice serve --database postgres://app:secret@127.0.0.1:5432/app
      Clients connect to 127.0.0.1:6432, database "app", and log in as app with the same password.
  sluice serve --database postgres://127.0.0.1/ --set auth_type=trust --set default_pool_size=40
      Any database of that server; the gateway asks nobody for a password.
  sluice serve --database "sales=postgres://app:secret@db1/prod?host=/run/postgresql" --listen "*:5432"
      Through a unix socket to the server, under another name, on all addresses of the machine.
  sluice serve /etc/pgbouncer/pgbouncer.ini
      What PgBouncer would do with that file.
  sluice serve sluice.yaml --set pool_mode=session --check
      Only says whether the file and the flags are right.

Flags win over the file. "sluice config docs" explains every setting.
SIGHUP reads the file again; SIGTERM and SIGINT drain the gateway and end it, a second one ends it at once. --takeover
replaces a running process without a moment in which a client is refused: it hands over its listening sockets (see
takeover_socket) and ends when its clients have left.`;

/** Adds `serve` to the command line. */
export function registerServe(program: Command): void {
  program
    .command('serve')
    .summary('a gateway in front of databases that exist')
    .description(
      'Starts the gateway in front of PostgreSQL servers, from a file (YAML or pgbouncer.ini), from flags, or from both.',
    )
    .argument('[FILE]', 'configuration file: YAML, or a pgbouncer.ini by its ending')
    .option(
      '-d, --database <URL>',
      'a database: postgres://user:password@host:port/db or NAME=URL (repeatable)',
      collect,
    )
    .option('-l, --listen <ADDRESS>', 'HOST:PORT or the path of a unix socket (repeatable)', collect)
    .option('-s, --set <NAME=VALUE>', 'any setting, by its name (repeatable)', collect)
    .addOption(
      new Option('--io <DRIVER>', 'how to talk to the kernel').choices(['auto', 'uring', 'epoll', 'node']),
    )
    .addOption(
      new Option('--log-level <LEVEL>', 'least severe level that is logged')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addOption(
      new Option(
        '--log-format <FORMAT>',
        'auto is pretty on a terminal, json otherwise; pgbouncer is that of PgBouncer',
      )
        .choices(['auto', 'pretty', 'json', 'pgbouncer'])
        .default('auto'),
    )
    .option('--takeover', 'take the place of the running process that has the same configuration')
    .option('--check', 'check the configuration and end')
    .addHelpText('after', EXAMPLES)
    .action(serve);
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

async function serve(file: string | undefined, flags: ServeFlags): Promise<void> {
  const { database: databases = [], listen = [], set = [], io } = flags;
  if (file === undefined && databases.length === 0) throw new UsageError(NOTHING_TO_SERVE);
  const sources: ConfigSources = {
    ...(file === undefined ? {} : { file }),
    databases,
    listen,
    set: io === undefined ? set : [...set, `io=${io}`],
  };
  const { loadConfig } = await import('../config/load.js');
  const config = await loadConfig(sources);
  if (flags.check) {
    const { printCheck } = await import('./config-command.js');
    await printCheck(config, file ?? 'the configuration');
    return;
  }
  const [{ openLog }, { superviseGateway }, { describeStart }, { colourAllowed }] = await Promise.all([
    import('../control/logging.js'),
    import('../control/supervise.js'),
    import('./start-line.js'),
    import('./terminal.js'),
  ]);
  const log = await openLog({
    level: flags.logLevel,
    format: flags.logFormat,
    terminal: process.stdout.isTTY === true,
    colours: colourAllowed(process.stdout, process.env),
  });
  log.configure(config.values);
  const code = await superviseGateway({
    config,
    takeover: flags.takeover ?? false,
    log,
    // Whatever the level: it is what people and scripts wait for.
    onReady: (gateway) => log.logger.child({}, { level: 'info' }).info(describeStart(config, gateway)),
  });
  // Not left to the event loop: after a second signal, connections may still be open.
  process.exit(code);
}
