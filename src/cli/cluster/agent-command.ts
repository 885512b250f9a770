/** `sluice agent`: keeps one database node alive. */
import { type Command, Option } from 'commander';
import type { AgentConfig } from '../../config/agent-config.js';
import type { LogFormat, LogLevel } from '../../control/logging.js';
import { UsageError } from '../usage-error.js';

interface AgentFlags {
  readonly config?: string;
  readonly node?: string;
  readonly address?: string;
  readonly dryRun?: true;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

const NO_FILE = `which node? Name its configuration file, for example
  sluice agent -c agent.yaml`;

const TEXT = `
One agent runs beside each PostgreSQL of a cluster, and is the one who starts and stops it. The agents agree in a store (etcd)
on who leads; when the primary is gone, a standby that has everything takes its place, and the old primary comes back as a
standby by itself. "sluice config docs" explains every setting, docs/availability.md how it works.

A file can be as short as this, and the same on all nodes but for node, address and bootstrap:

  node: db1
  address: 10.0.0.11
  cluster:
    name: main
    store: { etcd: [http://10.0.0.21:2379, http://10.0.0.22:2379, http://10.0.0.23:2379] }
  postgresql:
    data: /var/lib/postgresql/17/main
    bootstrap: initdb        # on one node: it begins the cluster. adopt: with the data that are there
    replication_password_file: replication-password
  http_listen: 10.0.0.11:8008

SIGTERM and SIGINT end it in order: a primary hands over to a standby first, then PostgreSQL is stopped. A second one ends
PostgreSQL at once. PostgreSQL never runs without its agent. SIGHUP lets it read its file again; what has to wait for the next
start is named in the log, and a file that is wrong changes nothing. Files with passwords are read again by themselves.

Exit code: 0 when it has ended in order, 1 when it can't run or has failed, 2 for a wrong usage.

Examples:
  sluice agent -c agent.yaml --dry-run
      Says what it would do, and changes nothing.
  sluice agent -c agent.yaml
  SLUICE_NODE=db2 SLUICE_ADDRESS=10.0.0.12 sluice agent -c agent.yaml
      The same file for every node.`;

/** Adds `agent` to the command line. */
export function registerAgent(program: Command): void {
  program
    .command('agent')
    .summary('keep one database node of a cluster alive')
    .description('Runs the PostgreSQL of one node, and keeps its cluster available together with the others.')
    .argument('[FILE]', 'as --config')
    .option('-c, --config <FILE>', "the agent's configuration (YAML)")
    .option('--node <NAME>', "the node's name, where the file has none")
    .option('--address <HOST>', 'where others reach this machine, where the file does not say it')
    .option('--dry-run', 'say what it would do, and change nothing')
    .addOption(
      new Option('--log-level <LEVEL>', 'least severe level that is logged')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addOption(
      new Option('--log-format <FORMAT>', 'auto is pretty on a terminal, json otherwise')
        .choices(['auto', 'pretty', 'json'])
        .default('auto'),
    )
    .addHelpText('after', TEXT)
    .action(runCommand);
}

async function runCommand(argument: string | undefined, flags: AgentFlags): Promise<void> {
  const file = flags.config ?? argument ?? process.env.SLUICE_CONFIG;
  if (file === undefined) throw new UsageError(NO_FILE);
  const { loadAgentConfig } = await import('../../config/agent-config.js');
  const { AgentError } = await import('../../agent/agent-error.js');
  const load = () =>
    loadAgentConfig(file, {
      node: flags.node ?? process.env.SLUICE_NODE,
      address: flags.address ?? process.env.SLUICE_ADDRESS,
    });
  const config = await load();
  try {
    process.exitCode = flags.dryRun === true ? await dryRun(config) : await run(config, load, flags);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const advice = error.advice.map((line) => `  -> ${line}\n`).join('');
    process.stderr.write(`sluice: ${error.message}\n${advice}`);
    process.exitCode = 1;
  }
}

async function dryRun(config: AgentConfig): Promise<number> {
  const { planAgent } = await import('../../agent/agent-plan.js');
  const { lines, isPossible } = await planAgent(config);
  process.stdout.write(`${lines.join('\n')}\n`);
  return isPossible ? 0 : 1;
}

async function run(
  config: AgentConfig,
  load: () => Promise<AgentConfig>,
  flags: AgentFlags,
): Promise<number> {
  const [{ openLog }, { runAgent }, { openAgentHttp }, { colourAllowed }] = await Promise.all([
    import('../../control/logging.js'),
    import('../../agent/run-agent.js'),
    import('../../agent/http/agent-http.js'),
    import('../terminal.js'),
  ]);
  const log = await openLog({
    level: flags.logLevel,
    format: flags.logFormat,
    terminal: process.stdout.isTTY === true,
    colours: colourAllowed(process.stdout, process.env),
  });
  try {
    return await runAgent(config, load, log.logger, openAgentHttp);
  } finally {
    log.close();
  }
}
