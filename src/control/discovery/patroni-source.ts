/** Nodes by Patroni's REST API: `GET /cluster` (Patroni, "Patroni REST API", "Monitoring endpoint"). */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import * as z from 'zod';
import { serverAddress } from '../../config/gateway-settings.js';
import type { NodesFrom } from '../../config/nodes-from.js';
import type { NodeSettings } from '../../core/settings.js';
import { type Endpoint, requestJson } from '../../stores/json-request.js';
import { type Finding, type NodeSource, SOURCE_MS_MAX } from './node-source.js';

/** Of one member: another one is asked then. ms. */
const MEMBER_MS_MAX = 1500;
/** `leader` is `master` before Patroni 2.0; a `standby_leader` writes nothing. */
const LEADERS: ReadonlySet<string> = new Set(['leader', 'master']);

const MEMBER = z.object({
  name: z.string().min(1),
  role: z.string(),
  /** Missing while a member starts for the first time. */
  host: z.string().min(1).optional(),
  port: z.int().min(1).max(65_535).optional(),
  /** Also a text (`unknown`). */
  timeline: z.unknown().optional(),
  tags: z.object({ noloadbalance: z.unknown().optional() }).optional(),
});
const CLUSTER = z.object({ members: z.array(MEMBER) });

type Member = z.output<typeof MEMBER>;

export class PatroniSource implements NodeSource {
  readonly intervalMs = 2000;
  readonly #endpoints: readonly Endpoint[];
  /** Who has answered last. */
  #current = 0;

  constructor(source: Extract<NodesFrom, { kind: 'patroni' }>) {
    this.#endpoints = source.endpoints.map((url) => endpointOf(url, source));
  }

  /** Of the first that answers sensibly, beginning with the one that has done so last. */
  async read(): Promise<Finding> {
    const troubles: string[] = [];
    const deadline = performance.now() + SOURCE_MS_MAX;
    for (let tries = 0; tries < this.#endpoints.length; tries += 1) {
      const at = (this.#current + tries) % this.#endpoints.length;
      const limitMs = Math.min(MEMBER_MS_MAX, deadline - performance.now());
      if (limitMs <= 0) break;
      try {
        const finding = await ask(this.#endpoints[at]!, limitMs);
        this.#current = at;
        return finding;
      } catch (error) {
        const { message } = error as Error;
        const who = this.#endpoints[at]!.description;
        troubles.push(message.startsWith(who) ? message : `${who}: ${message}`);
      }
    }
    throw new Error(troubles.join('; '));
  }

  close(): void {
    for (const { agent } of this.#endpoints) agent.destroy();
  }
}

async function ask(endpoint: Endpoint, limitMs: number): Promise<Finding> {
  const { status, body } = await requestJson(endpoint, { method: 'GET', path: '/cluster', limitMs });
  if (status !== 200) throw new Error(`HTTP status ${status}`);
  const parsed = CLUSTER.safeParse(body);
  if (!parsed.success) throw new Error('GET /cluster is not answered as Patroni does');
  const { members } = parsed.data;
  const leaders = members.filter(({ role }) => LEADERS.has(role));
  const [leader] = leaders;
  return {
    nodes: members.flatMap(nodeOf),
    word:
      leader === undefined || leaders.length > 1
        ? null
        : {
            leader: leader.name,
            timeline: Number.isSafeInteger(leader.timeline) ? Number(leader.timeline) : 0,
          },
  };
}

function nodeOf({ name, host, port, tags }: Member): NodeSettings[] {
  if (host === undefined || port === undefined) return [];
  const weight = tags?.noloadbalance === true ? 0 : 1;
  return [{ name, address: serverAddress(host, port), weight, zone: '' }];
}

function endpointOf(
  text: string,
  { ca, cert, key }: Pick<Extract<NodesFrom, { kind: 'patroni' }>, 'ca' | 'cert' | 'key'>,
): Endpoint {
  const url = new URL(text);
  const secure = url.protocol === 'https:';
  const tls = { ...(ca !== null && { ca }), ...(cert !== null && { cert }), ...(key !== null && { key }) };
  const agent = secure ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || (secure ? 443 : 80));
  return { description: `Patroni at ${url.host}`, secure, options: { host, port }, agent };
}
