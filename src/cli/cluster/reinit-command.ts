/** `sluice reinit`: a node's data anew, from the primary. */
import type { Command } from 'commander';
import { factsIn } from '../../cluster/node-facts.js';
import type { Store } from '../../stores/store.js';
import { UsageError } from '../usage-error.js';
import {
  CLUSTER_HELP,
  type ClusterFlags,
  clusterOptions,
  STORE_FAILED,
  withCluster,
} from './cluster-options.js';
import { isConfirmed } from './confirm.js';

interface ReinitFlags extends ClusterFlags {
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly yes?: true;
  readonly timeout: string;
}

const TEXT = `
The node throws its data away and is cloned from the primary: for a standby whose data are damaged, or which are another
cluster's. Its agent is asked by HTTP (http_listen in its file), with the token of http_token_file. A node that leads, and one
whose data others may still need, refuses.
${CLUSTER_HELP}

Exit code: 0 when it follows again, 1 if it refuses or that takes too long, ${STORE_FAILED} if the store can't be asked.

Example:
  sluice reinit db3 -c agent.yaml`;

/** Adds `reinit` to the command line. */
export function registerReinit(program: Command): void {
  clusterOptions(program.command('reinit'))
    .summary("a node's data anew, from the primary")
    .description('Lets a standby throw its data away and be cloned.')
    .argument('<NODE>', 'the node')
    .option('--token-file <FILE>', "the file with the agents' token (default: http_token_file of --config)")
    .option(
      '--ca-file <FILE>',
      'whose certificates agents have to show (PEM; default: http_tls_ca_file of --config)',
    )
    .option('-y, --yes', 'do not ask')
    .option('-t, --timeout <SECONDS>', 'how long it may take', '3600')
    .addHelpText('after', TEXT)
    .action((node: string, flags: ReinitFlags) => withCluster(flags, (store) => reinit(node, flags, store)));
}

async function reinit(node: string, flags: ReinitFlags, store: Store): Promise<void> {
  const [{ WishRefused, understood }, { createStepProgress }, { askReinit }] = await Promise.all([
    import('../../stores/wishes.js'),
    import('../step-progress.js'),
    import('./agent-request.js'),
  ]);
  const view = understood(await store.read());
  const member = view.members.get(node);
  if (member === undefined) {
    throw new WishRefused(
      `there is no node ${node} at the moment`,
      `There are: ${[...view.members.keys()].join(', ')}.`,
    );
  }
  if (member.contact.api === null) {
    throw new WishRefused(
      `the agent of ${node} answers no HTTP`,
      'Give it http_listen and http_token_file, and start it again.',
    );
  }
  const token = await tokenOf(flags);
  if (!(await isConfirmed(`Throw the data of ${node} away?`, flags.yes === true))) {
    process.exitCode = 1;
    return;
  }
  const progress = createStepProgress(process.stderr);
  try {
    progress.begin(`asking ${node}`);
    await askReinit(member.contact.api, token, await authorityOf(flags));
    const isDone = await untilFollowing(store, node, Number(flags.timeout) * 1000, (step) =>
      progress.begin(step),
    );
    progress.close();
    process.exitCode = isDone ? 0 : 1;
    const text = isDone ? `${node} follows again` : `${node} does not follow yet after ${flags.timeout} s`;
    process.stdout.write(flags.json === true ? `${JSON.stringify({ node, isDone })}\n` : `${text}\n`);
  } finally {
    progress.close();
  }
}

async function tokenOf({ tokenFile, config }: ReinitFlags): Promise<string> {
  const text = await contentOf(tokenFile, config, 'http_token_file');
  if (text === null)
    throw new UsageError("which token? Name the agents' http_token_file by --token-file or --config");
  return text.trim();
}

/** Null: the system's authorities. */
function authorityOf({ caFile, config }: ReinitFlags): Promise<string | null> {
  return contentOf(caFile, config, 'http_tls_ca_file');
}

/** Of the file that is given, or else named by the configuration. */
async function contentOf(
  given: string | undefined,
  config: string | undefined,
  key: 'http_token_file' | 'http_tls_ca_file',
): Promise<string | null> {
  const [{ readFile }, { loadNamedFile }] = await Promise.all([
    import('node:fs/promises'),
    import('../../config/cluster-file.js'),
  ]);
  const file = given ?? (config === undefined ? null : await loadNamedFile(config, key));
  if (file === null) return null;
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}

/** The wish was obeyed when the answer came: what follows now has been cloned. */
function untilFollowing(
  store: Store,
  node: string,
  limitMs: number,
  onStep: (step: string) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isDone: boolean) => {
      clearTimeout(limit);
      watch.close();
      resolve(isDone);
    };
    const limit = setTimeout(() => end(false), limitMs);
    let shown = '';
    let hasCloned = false;
    const watch = store.watch(
      (view) => {
        const text = view.members.get(node) ?? '';
        const state = /"state":"(\w+)"/.exec(text)?.[1] ?? 'not there';
        hasCloned ||= state !== 'following';
        if (hasCloned && state === 'following') return end(true);
        const { doing } = factsIn(text);
        const step = doing === null ? `${node} is ${state}` : `${node} is ${state}: ${doing}`;
        if (step !== shown) onStep(step);
        shown = step;
      },
      () => {},
    );
  });
}
