/** `sluice config`: what can be set, and whether a file is right. */
import type { Command } from 'commander';
import type { SluiceConfig } from '../config/load.js';

/** Adds `config schema`, `config docs` and `config check` to the command line. */
export function registerConfig(program: Command): void {
  const config = program
    .command('config')
    .summary('what can be set, and whether a file is right')
    .description('What can be set, and whether a file is right.');
  config
    .command('check')
    .description('Checks a configuration file; says everything that is wrong, by line and key.')
    .argument('<FILE>', 'configuration file: YAML, or a pgbouncer.ini by its ending')
    .action(async (file: string) => {
      const { loadConfig } = await import('../config/load.js');
      await printCheck(await loadConfig({ file }), file);
    });
  config
    .command('docs')
    .description('Prints every setting with its type, default and meaning (Markdown).')
    .action(async () => {
      const { configMarkdown } = await import('../config/documentation.js');
      process.stdout.write(configMarkdown());
    });
  config
    .command('schema')
    .description('Prints the JSON Schema of the configuration file, for editors.')
    .option('--agent', "that of an agent's file")
    .action(async ({ agent }: { agent?: true }) => {
      const { agentJsonSchema, configJsonSchema } = await import('../config/documentation.js');
      const schema = agent === true ? agentJsonSchema() : configJsonSchema();
      process.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
    });
}

/** Says that a configuration is right, and what may still surprise. */
export async function printCheck(config: SluiceConfig, name: string): Promise<void> {
  const [{ adviseOn, honouredElsewhere }, { readMachineLimits }] = await Promise.all([
    import('../config/advice.js'),
    import('../control/machine-limits.js'),
  ]);
  const warnings = [...config.warnings, ...adviseOn(config, await readMachineLimits())];
  for (const warning of warnings) process.stdout.write(`warning: ${warning}\n`);
  for (const note of honouredElsewhere(config)) process.stdout.write(`${note}\n`);
  const databases = Object.keys(config.values.databases).length;
  process.stdout.write(
    `${name}: no mistakes (${databases} ${databases === 1 ? 'database' : 'databases'}, ` +
      `${config.users.size} ${config.users.size === 1 ? 'user' : 'users'})\n`,
  );
}
