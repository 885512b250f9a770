/**
 * Whom the Kubernetes API is asked for what is in a namespace: the API itself where we are in a pod or are told where it is, else kubectl,
 * which knows the kubeconfig and its logins. The same paths either way, and nothing but GET.
 */
import { execFile } from 'node:child_process';
import { KubernetesClient } from '../../stores/kubernetes/kubernetes-client.js';
import type { KubernetesPlace } from '../../stores/kubernetes/kubernetes-settings.js';
import { StoreError } from '../../stores/store.js';

/** How long one answer may take. ms. */
const ANSWER_MS = 15_000;
/** Of one answer. Bytes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Answers paths of the API. */
export interface KubernetesSource {
  readonly description: string;
  /** What is there; null: nothing. Rejects with a StoreError: `denied`, or it can't be asked. */
  get(path: string): Promise<unknown>;
  close(): void;
}

/** By the API itself. */
export function apiSource(place: KubernetesPlace): KubernetesSource {
  const client = new KubernetesClient(place, ANSWER_MS, () => performance.now());
  return {
    description: client.description,
    async get(path) {
      const answer = await client.send({ method: 'GET', path });
      return answer.status === 404 ? null : client.accepted(answer).body;
    },
    close: () => client.close(),
  };
}

/** By kubectl. @param context of the kubeconfig; null: the current one */
export function kubectlSource(context: string | null, program = 'kubectl'): KubernetesSource {
  const chosen = context === null ? [] : ['--context', context];
  return {
    description: context === null ? 'kubectl' : `kubectl, context ${context}`,
    async get(path) {
      const args = [...chosen, `--request-timeout=${ANSWER_MS / 1000}s`, 'get', '--raw', path];
      const { error, stdout, stderr } = await run(program, args);
      if (error === null) return parsed(stdout);
      if (/\(NotFound\)|could not find the requested resource/.test(stderr)) return null;
      const said = stderr.trim().split('\n').at(-1) ?? '';
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        throw new StoreError(
          'unreachable',
          'this is no pod, and kubectl is not there: install it, or name the API by --server',
        );
      }
      const isDenied = /\((Forbidden|Unauthorized)\)|must be logged in/.test(stderr);
      throw new StoreError(isDenied ? 'denied' : 'unreachable', `kubectl: ${said || error.message}`);
    },
    close: () => {},
  };
}

/** The namespace that the kubeconfig's context names; null: none. */
export async function kubectlNamespace(context: string | null): Promise<string | null> {
  const chosen = context === null ? [] : ['--context', context];
  const { stdout } = await run('kubectl', [
    ...chosen,
    'config',
    'view',
    '--minify',
    '-o',
    'jsonpath={..namespace}',
  ]);
  return stdout.trim() === '' ? null : stdout.trim();
}

function run(
  program: string,
  args: readonly string[],
): Promise<{ error: Error | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: ANSWER_BYTES_MAX }, (error, stdout, stderr) =>
      resolve({ error, stdout, stderr }),
    );
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StoreError('protocol', 'kubectl: what came is no JSON');
  }
}
