/** `sluice kubernetes check`: what is wrong in a namespace. */
import type { Command } from 'commander';
import type { Finding } from '../../control/kubernetes-check/judge.js';
import type { KubernetesSource } from '../../control/kubernetes-check/source.js';
import { StoreError } from '../../stores/store.js';
import { UsageError } from '../usage-error.js';

interface CheckFlags {
  readonly namespace?: string;
  readonly context?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly json?: true;
}

const EXIT_CODES = { fine: 0, wrong: 1, unknown: 2 } as const;

const TEXT = `
Looks at the Deployments, StatefulSets, pods, Services, Leases, claims, budgets, ConfigMaps and Secrets of a namespace, and says what is
wrong, with the next step; causes come before what follows from them. It changes nothing, and keeps nothing of what Secrets hold.

In a pod, the service account asks. Elsewhere kubectl does, with its kubeconfig and its logins; or name the API by --server. The
account needs get and list; what it may not read is told.

Exit code: 0 if nothing is wrong (there may be notices), 1 if something is, 2 if the API can't be asked.

Examples:
  sluice kubernetes check -n db
  sluice kubernetes check -n db --context staging --json
  kubectl proxy & sluice kubernetes check -n db --server http://127.0.0.1:8001`;

/** Adds `check`. */
export function registerKubernetesCheck(kubernetes: Command): void {
  kubernetes
    .command('check')
    .summary('what is wrong in a namespace, and what to do')
    .description('Says what is wrong in a namespace, and what to do.')
    .option('-n, --namespace <NAME>', "the namespace; without it the pod's, or kubectl's")
    .option('--context <NAME>', "kubectl's context")
    .option('--server <URL>', 'the API server, instead of kubectl')
    .option('--token-file <FILE>', 'the token that --server asks for')
    .option('--ca-file <FILE>', 'whose certificate --server has to show (PEM)')
    .option('--json', 'print JSON')
    .addHelpText('after', TEXT)
    .action(check);
}

async function check(flags: CheckFlags): Promise<void> {
  const { source, namespace } = await sourceOf(flags);
  try {
    const [{ readNamespace }, { judgeNamespace }] = await Promise.all([
      import('../../control/kubernetes-check/snapshot.js'),
      import('../../control/kubernetes-check/judge.js'),
    ]);
    const findings = judgeNamespace(await readNamespace(source, namespace), Date.now());
    const isWrong = findings.some(({ level }) => level === 'wrong');
    process.stdout.write(
      flags.json === true
        ? `${JSON.stringify({ namespace, findings }, null, 2)}\n`
        : inWords(namespace, findings),
    );
    process.exitCode = isWrong ? EXIT_CODES.wrong : EXIT_CODES.fine;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    process.stderr.write(`sluice: ${error.message}\n`);
    process.exitCode = EXIT_CODES.unknown;
  } finally {
    source.close();
  }
}

async function sourceOf(
  flags: CheckFlags,
): Promise<{ readonly source: KubernetesSource; readonly namespace: string }> {
  const [{ apiSource, kubectlNamespace, kubectlSource }, { thisPod }] = await Promise.all([
    import('../../control/kubernetes-check/source.js'),
    import('../../stores/open-store.js'),
  ]);
  const { server, context, tokenFile, caFile } = flags;
  if (server === undefined && (tokenFile ?? caFile) !== undefined)
    throw new UsageError('--token-file and --ca-file belong to --server');
  if (server !== undefined) {
    if (!/^https?:\/\/[^/@\s]+\/?$/.test(server))
      throw new UsageError('--server is a URL like https://10.96.0.1:443');
    const place = { server, tokenFile: tokenFile ?? null, caFile: caFile ?? null };
    return { source: apiSource(place), namespace: flags.namespace ?? process.env.POD_NAMESPACE ?? 'default' };
  }
  if (process.env.KUBERNETES_SERVICE_HOST !== undefined && context === undefined) {
    const place = thisPod();
    return { source: apiSource(place), namespace: flags.namespace ?? place.namespace };
  }
  const chosen = context ?? null;
  const namespace = flags.namespace ?? (await kubectlNamespace(chosen)) ?? 'default';
  return { source: kubectlSource(chosen), namespace };
}

function inWords(namespace: string, findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ level, about, what, next }) =>
      `${level === 'wrong' ? 'wrong ' : 'notice'}  ${about}: ${what}\n        -> ${next}\n`,
  );
  const wrong = findings.filter(({ level }) => level === 'wrong').length;
  const sum = wrong === 0 ? 'nothing is wrong' : `${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong`;
  return `${lines.join('')}namespace ${namespace}: ${sum}\n`;
}
