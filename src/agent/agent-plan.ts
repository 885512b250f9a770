/** What an agent would do, without doing it. */
import type { ClusterView } from '../cluster/records.js';
import type { AgentConfig } from '../config/agent-config.js';
import { sharedClock } from '../reactor/shared-clock.js';
import { openStore } from '../stores/open-store.js';
import type { StoreError } from '../stores/store.js';
import { leaderName, understood } from '../stores/wishes.js';
import { type Preparation, prepareAgent, refuseData } from './agent-preparation.js';

/** Lines for people, and whether it could run. */
export interface AgentPlan {
  readonly lines: readonly string[];
  readonly isPossible: boolean;
}

/** @throws {AgentError} what an operator has to change first */
export async function planAgent(config: AgentConfig): Promise<AgentPlan> {
  const preparation = await prepareAgent(config);
  const { postgres, settings, data } = preparation;
  const { contact } = settings;
  const store = openStore(config.cluster, sharedClock);
  const lines = [
    `node      ${config.node} of cluster ${config.cluster.name}`,
    `programs  PostgreSQL ${postgres.binaries.version} in ${postgres.binaries.binDirectory} (${postgres.binaries.origin})`,
    `runs as   ${postgres.serverUser?.name ?? 'the user of the agent'}`,
    `data      ${postgres.data}: ${DATA_TEXTS[data.data]}${data.systemIdentifier === null ? '' : `, system identifier ${data.systemIdentifier}`}`,
    `reached   ${contact.host} port ${contact.port}, HTTP ${contact.api ?? 'nowhere'}`,
    `store     ${store.description}`,
  ];
  try {
    const view = understood(await store.read());
    lines.push(`          ${storeText(view)}`, '', `It would ${firstStep(config, preparation, view)}.`);
    refuseData(preparation, config.postgresql.bootstrap, view.epoch === null);
    return { lines, isPossible: true };
  } catch (error) {
    if ((error as StoreError).name !== 'StoreError') throw error;
    lines.push(`          can't be asked: ${(error as Error).message}`, '', 'It would wait for the store.');
    return { lines, isPossible: false };
  } finally {
    await store.close();
  }
}

const DATA_TEXTS = {
  whole: 'a PostgreSQL',
  none: 'nothing is there',
  damaged: 'a PostgreSQL that was half made, half rewound or half copied',
} as const;

function storeText(view: ClusterView): string {
  if (view.epoch === null) return 'the cluster has never had a primary';
  const leader = leaderName(view);
  return leader === null ? `nobody leads; term ${view.term}` : `${leader} leads, term ${view.term}`;
}

function firstStep({ node, postgresql }: AgentConfig, { data }: Preparation, view: ClusterView): string {
  const leader = leaderName(view);
  if (view.epoch === null) {
    if (postgresql.bootstrap === 'never') return 'wait until another node has begun the cluster';
    return data.data === 'whole' ? 'begin the cluster with these data' : 'run initdb, and begin the cluster';
  }
  if (data.data !== 'whole') {
    return leader === null ? 'wait until somebody leads, and clone' : `clone from ${leader}, and follow it`;
  }
  if (data.systemIdentifier !== view.epoch.systemIdentifier) {
    return `do nothing with these data: they are another cluster's (this one's system identifier is ${view.epoch.systemIdentifier}); "sluice reinit ${node}" replaces them`;
  }
  const start = 'end a PostgreSQL that runs in the folder, start it as a standby';
  return leader === null || leader === node
    ? `${start}, and stand for election`
    : `${start}, and follow ${leader}`;
}
