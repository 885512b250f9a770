/** `sluice switchover`: another primary, as planned. */
import type { Command } from 'commander';
import type { StoreView } from '../../cluster/store-view.js';
import type { Store } from '../../stores/store.js';
import type { SwitchoverOutcome } from '../../stores/switchover.js';
import {
  CLUSTER_HELP,
  type ClusterFlags,
  clusterOptions,
  STORE_FAILED,
  withCluster,
} from './cluster-options.js';
import { isConfirmed } from './confirm.js';

interface SwitchoverFlags extends ClusterFlags {
  readonly to?: string;
  readonly yes?: true;
  readonly timeout: string;
}

const TEXT = `
The primary lets no new transaction begin, lets those that run end (timing: drain, in its agent's file), stops its
PostgreSQL so that the standbys get the rest, and gives the lease up; the chosen standby takes it. Clients behind gateways
wait meanwhile. Nothing is lost. The old primary comes back as a standby by itself.
${CLUSTER_HELP}

Exit code: 0 when another one leads, 1 if that can't be done or did not happen in time (the wish is taken back then), ${STORE_FAILED} if
the store can't be asked.

Examples:
  sluice switchover -c agent.yaml
      To the standby that has most, after a question.
  sluice switchover -c agent.yaml --to db2 --yes
      To this one, without a question.`;

/** Adds `switchover` to the command line. */
export function registerSwitchover(program: Command): void {
  clusterOptions(program.command('switchover'))
    .summary('another primary, as planned')
    .description('Lets the primary hand over to a standby. Clients notice a pause.')
    .option('--to <NODE>', 'the next primary; without it: the standby that has most')
    .option('-y, --yes', 'do not ask')
    .option('-t, --timeout <SECONDS>', 'how long it may take', '30')
    .addHelpText('after', TEXT)
    .action((flags: SwitchoverFlags) => withCluster(flags, (store) => switchOver(flags, store)));
}

async function switchOver(flags: SwitchoverFlags, store: Store): Promise<void> {
  const { to = null, yes, json, timeout } = flags;
  const { UsageError } = await import('../usage-error.js');
  const limitMs = Number(timeout) * 1000;
  if (!(limitMs > 0 && limitMs <= 3_600_000))
    throw new UsageError('--timeout: a number of seconds up to 3600');
  if (!(await isConfirmed(`Switch over to ${to ?? 'a standby'}?`, yes === true))) {
    process.exitCode = 1;
    return;
  }
  const [{ followSwitchover }, { createStepProgress }] = await Promise.all([
    import('../../stores/switchover.js'),
    import('../step-progress.js'),
  ]);
  const progress = createStepProgress(process.stderr);
  let outcome: SwitchoverOutcome;
  try {
    progress.begin(`asking the primary to hand over to ${to ?? 'a standby'}`);
    outcome = await followSwitchover(store, to, limitMs, (step: string, _: StoreView) =>
      progress.begin(step),
    );
  } finally {
    progress.close();
  }
  const { from, leader, pauseMs, isDone } = outcome;
  process.exitCode = isDone ? 0 : 1;
  if (json === true) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  else if (isDone)
    process.stdout.write(`${leader} leads in place of ${from}; clients paused for ${pauseMs} ms\n`);
  else {
    const now = leader === null ? 'nobody leads' : `${leader} leads`;
    process.stdout.write(
      `not done within ${timeout} s, and taken back: ${now}\n  -> "sluice status" says how the nodes are\n`,
    );
  }
}
