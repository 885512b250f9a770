/** `sluice pgbouncer`: stands in for the program of that name, with its command line, log and signals. */
import type { Command } from 'commander';
import type { ConfigSources, SluiceConfig } from '../config/load.js';
import { ConfigError, formatProblem } from '../config/problem.js';
import { StartError } from '../control/listen-error.js';
import type { ProcessLog } from '../control/logging.js';
import { PGBOUNCER_VERSION } from '../control/version.js';
import { becomeDaemon, isDaemon, runInBackground } from './daemon.js';
import { PGBOUNCER_HELP, type PgbouncerRequest, parsePgbouncerArguments } from './pgbouncer-arguments.js';

type RunRequest = Extract<PgbouncerRequest, { kind: 'run' }>;

/** Names the command in the help; its arguments are PgBouncer's, and read by {@link runPgbouncer}. */
export function registerPgbouncer(program: Command): void {
  program
    .command('pgbouncer')
    .summary("with PgBouncer's command line, signals and log")
    .helpOption(false)
    .usage('[OPTION]... CONFIG_FILE');
}

/** Resolves with the exit code: 0, or 1 for everything that went wrong. */
export async function runPgbouncer(argv: readonly string[]): Promise<number> {
  const request = parsePgbouncerArguments(argv);
  switch (request.kind) {
    case 'help':
      process.stdout.write(PGBOUNCER_HELP);
      return 0;
    case 'version': {
      const { node, openssl, uv } = process.versions;
      process.stdout.write(`${PGBOUNCER_VERSION}\nnode ${node}\nlibuv ${uv}\ntls: OpenSSL ${openssl}\n`);
      return 0;
    }
    case 'mistake':
      process.stderr.write(`sluice pgbouncer: ${request.message}\n`);
      process.stderr.write('Try "sluice pgbouncer --help" for more information.\n');
      return 1;
    case 'run':
      return run(request);
  }
}

async function run(request: RunRequest): Promise<number> {
  const { openLog } = await import('../control/logging.js');
  const log = await openLog({
    level: 'info',
    format: 'pgbouncer',
    terminal: false,
    colours: false,
    // What is said in the background goes to the log file.
    quiet: request.quiet || isDaemon(),
  });
  try {
    return await start(request, log);
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof StartError)) throw error;
    const reasons = error instanceof ConfigError ? error.problems.map(formatProblem) : [error.message];
    if (error instanceof StartError) log.logger.fatal(error.message);
    else {
      for (const reason of reasons) log.logger.error(reason);
      log.logger.fatal('cannot load config file');
    }
    // The process in the foreground passes it on.
    if (isDaemon()) process.stderr.write(`${reasons.join('\n')}\n`);
    return 1;
  } finally {
    log.close();
  }
}

async function start(request: RunRequest, log: ProcessLog): Promise<number> {
  const [{ loadConfig }, { becomeUser, refuseRoot }, { supervisePgbouncer }] = await Promise.all([
    import('../config/load.js'),
    import('../control/system-user.js'),
    import('../control/pgbouncer-supervise.js'),
  ]);
  const config = await loadConfig(sourcesOf(request));
  const user = request.user ?? config.values.user;
  if (user !== '') becomeUser(user);
  // After that, so that the file belongs to the user that writes it.
  log.configure(config.values);
  refuseRoot('PgBouncer');
  if (request.daemon && !isDaemon()) return daemonize(config);
  return supervisePgbouncer({
    config,
    takeover: request.reboot,
    log,
    onReady: () => {
      if (request.daemon) becomeDaemon();
    },
  });
}

function sourcesOf({ file, verbose }: RunRequest): ConfigSources {
  return { file, ...(verbose === 0 ? {} : { set: [`verbose=${verbose}`] }) };
}

/** @throws {StartError} */
function daemonize({ values }: SluiceConfig): Promise<number> {
  if (values.pidfile === '') throw new StartError('daemon needs pidfile configured');
  if (values.logfile === '' && !values.syslog)
    throw new StartError('daemon needs logfile or syslog configured');
  return runInBackground(process.argv.slice(1));
}
