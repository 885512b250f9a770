/**
 * Nodes by the labels of pods in Kubernetes. Labels say which nodes there are; what they say of roles (those of CloudNativePG, of
 * Zalando's operator, of Patroni and of our own agents) is a manager's word.
 */
import * as z from 'zod';
import { serverAddress } from '../../config/gateway-settings.js';
import type { NodesFrom } from '../../config/nodes-from.js';
import type { NodeSettings } from '../../core/settings.js';
import { KubernetesClient } from '../../stores/kubernetes/kubernetes-client.js';
import { kubernetesOf } from '../../stores/open-store.js';
import { type Finding, type NodeSource, SOURCE_MS_MAX } from './node-source.js';

/** Watches are known to fall silent: everything is read again after so long. ms. */
const SILENCE_MS_MAX = 30_000;
const ROLE_LABELS = ['cnpg.io/instanceRole', 'spilo-role', 'sluice/role', 'role'] as const;
const PRIMARIES: ReadonlySet<string | undefined> = new Set(['primary', 'master', 'leader']);

const POD = z.object({
  metadata: z.object({
    name: z.string().min(1),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
  status: z.object({ phase: z.string().nullish(), podIP: z.string().nullish() }).nullish(),
});
const POD_LIST = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  items: z.array(POD),
});
const EVENT = z.object({ type: z.string(), object: z.unknown() });

type Pod = z.output<typeof POD>;

export class KubernetesSource implements NodeSource {
  readonly intervalMs = SILENCE_MS_MAX;
  readonly #source: Extract<NodesFrom, { kind: 'kubernetes' }>;
  readonly #clock: () => number;
  #opened: { readonly client: KubernetesClient; readonly path: string } | null = null;
  #resourceVersion = '';
  /** By the pods' names, what was last seen of them. */
  #shown = new Map<string, string>();

  constructor(source: Extract<NodesFrom, { kind: 'kubernetes' }>, clock: () => number) {
    this.#source = source;
    this.#clock = clock;
  }

  async read(): Promise<Finding> {
    const { client, path } = this.#open();
    const { body } = await client.ask({ method: 'GET', path });
    const parsed = POD_LIST.safeParse(body);
    if (!parsed.success) throw new Error(`${client.description}: unexpected answer about pods`);
    const pods = parsed.data.items;
    this.#resourceVersion = parsed.data.metadata.resourceVersion;
    this.#shown = new Map(pods.map((pod) => [pod.metadata.name, this.#show(pod)]));
    const nodes = pods.flatMap((pod) => this.#nodeOf(pod) ?? []);
    const names = new Set(nodes.map(({ name }) => name));
    const leaders = pods.filter((pod) => names.has(pod.metadata.name) && isCalledPrimary(pod));
    const word = leaders.length === 1 ? { leader: leaders[0]!.metadata.name, timeline: 0 } : null;
    return { nodes, word };
  }

  /** Until a pod comes, goes, moves or has another role. A watch that breaks ends the wait, too. */
  async untilNews(signal: AbortSignal): Promise<void> {
    if (this.#opened === null) return;
    const { client, path } = this.#opened;
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(this.#resourceVersion)}`;
    const timeout = `timeoutSeconds=${Math.ceil(SILENCE_MS_MAX / 1000)}`;
    const isNews = (line: unknown) => this.#isNews(line);
    await client.follow(`${path}&${query}&${timeout}`, isNews, SILENCE_MS_MAX, signal).catch(() => {});
  }

  close(): void {
    this.#opened?.client.close();
  }

  #open(): { readonly client: KubernetesClient; readonly path: string } {
    if (this.#opened !== null) return this.#opened;
    const place = kubernetesOf('nodes', this.#source);
    const client = new KubernetesClient(place, SOURCE_MS_MAX, this.#clock);
    const selector = encodeURIComponent(this.#source.selector);
    const path = `/api/v1/namespaces/${place.namespace}/pods?labelSelector=${selector}`;
    this.#opened = { client, path };
    return this.#opened;
  }

  #isNews(line: unknown): boolean {
    const event = EVENT.safeParse(line);
    if (!event.success) return true;
    if (event.data.type === 'BOOKMARK') return false;
    const pod = POD.safeParse(event.data.object);
    if (!pod.success || event.data.type === 'DELETED') return true;
    return this.#shown.get(pod.data.metadata.name) !== this.#show(pod.data);
  }

  #show(pod: Pod): string {
    return JSON.stringify([this.#nodeOf(pod), isCalledPrimary(pod)]);
  }

  /** Null: it has no address yet, or has ended. One that is about to end may still be the primary. */
  #nodeOf({ metadata, status }: Pod): NodeSettings | null {
    if (status?.phase !== 'Running' || !status.podIP) return null;
    const address = serverAddress(status.podIP, this.#source.port);
    return { name: metadata.name, address, weight: 1, zone: '' };
  }
}

function isCalledPrimary({ metadata: { labels } }: Pod): boolean {
  return ROLE_LABELS.some((label) => PRIMARIES.has(labels?.[label]));
}
