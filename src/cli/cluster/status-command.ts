/** `sluice status`: how the cluster is, and what to do. */
import type { Command } from 'commander';
import type { ClusterVerdict } from '../../agent/cluster-status.js';
import type { ClusterAccess } from '../../config/cluster-access.js';
import type { Store } from '../../stores/store.js';
import {
  CLUSTER_HELP,
  type ClusterFlags,
  clusterOptions,
  STORE_FAILED,
  withCluster,
} from './cluster-options.js';

interface StatusFlags extends ClusterFlags {
  readonly watch?: true;
}

const EXIT_CODES: Readonly<Record<ClusterVerdict, number>> = { healthy: 0, degraded: 1, 'no primary': 2 };
const CLEAR = '\x1b[H\x1b[2J';

const TEXT = `
Who leads, under which term, what an acknowledged commit is worth at present, how each node is, what is wrong and what to do
about it. It asks the store and nobody else, and changes nothing. What nodes say of themselves is up to two seconds old.
${CLUSTER_HELP}

Exit code: 0 if everything is as it should be, 1 if the cluster has a primary and something else is wrong, 2 if it has no
primary, ${STORE_FAILED} if the store can't be asked.

Examples:
  sluice status -c agent.yaml
  sluice status -c agent.yaml --watch
      Again at each change, until Ctrl-C.
  sluice status --store http://10.0.0.1:2379 --json
      For a program.`;

/** Adds `status` to the command line. */
export function registerStatus(program: Command): void {
  clusterOptions(program.command('status'))
    .summary('how the cluster is, and what to do')
    .description('Says who leads, how the nodes of a cluster are, and what is wrong.')
    .option('-w, --watch', 'print it again at each change')
    .addHelpText('after', TEXT)
    .action((flags: StatusFlags) =>
      withCluster(flags, (store, cluster) =>
        flags.watch === true ? watch(flags, store, cluster) : once(flags, store, cluster),
      ),
    );
}

async function once({ json }: StatusFlags, store: Store, cluster: ClusterAccess): Promise<void> {
  const print = await printer(json === true, store, cluster);
  process.exitCode = EXIT_CODES[print(await store.read())];
}

async function watch({ json }: StatusFlags, store: Store, cluster: ClusterAccess): Promise<void> {
  const print = await printer(json === true, store, cluster);
  const isTerminal = process.stdout.isTTY === true && json !== true;
  let shown = '';
  const { promise, resolve, reject } = defer();
  const watching = store.watch(
    (view) => {
      try {
        // A registration that says the same as the last one is no change.
        const seen = JSON.stringify([view.term, view.leader, [...view.values], [...view.members]]);
        if (seen === shown) return;
        shown = seen;
        if (isTerminal) process.stdout.write(CLEAR);
        process.exitCode = EXIT_CODES[print(view)];
      } catch (error) {
        reject(error);
      }
    },
    (error) => process.stderr.write(`sluice: the store can't be asked: ${error.message}\n`),
  );
  process.once('SIGINT', resolve);
  await promise.finally(() => watching.close());
}

function defer(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone;
    reject = onError;
  });
  return { promise, resolve, reject };
}

async function printer(json: boolean, { description }: Store, { name }: ClusterAccess) {
  const [{ judgeCluster }, { statusText }, { colourAllowed }] = await Promise.all([
    import('../../agent/cluster-status.js'),
    import('./status-text.js'),
    import('../terminal.js'),
  ]);
  return (view: Awaited<ReturnType<Store['read']>>): ClusterVerdict => {
    const status = judgeCluster(name, description, view);
    const text = json
      ? `${JSON.stringify(status)}\n`
      : statusText(status, colourAllowed(process.stdout, process.env));
    process.stdout.write(text);
    return status.verdict;
  };
}
