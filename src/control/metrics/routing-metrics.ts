/** What nodes, routing and the cluster's store add to the page. */
import type { NodeSnapshot } from '../../core/route/node-snapshot.js';
import type { ShapeFigures } from '../../core/route/shapes.js';
import type { RouteCounters } from '../../core/route/strong-reads.js';
import type { RoutedDatabaseSnapshot } from '../../core/snapshot.js';
import type { ClusterStatus } from '../cluster/cluster-watch.js';
import type { DiscoveryStatus } from '../discovery/discovery.js';
import type { Exposition, Labels, Value } from './exposition.js';
import { DATABASES_SHOWN_MAX, NODES_SHOWN_MAX } from './limits.js';

const MS_PER_S = 1000;
const ROLES: readonly NodeSnapshot['role'][] = ['primary', 'standby', 'unknown', 'foreign'];

/** Of whole databases. */
export function addRouting(page: Exposition, all: readonly RoutedDatabaseSnapshot[]): void {
  const routed = all.slice(0, DATABASES_SHOWN_MAX);
  const reads = (key: keyof RouteCounters) =>
    routed.map((each): [Labels, Value] => [{ database: each.database }, each.reads[key]]);
  page.counter(
    'routed_reads',
    'Reads that might go to a standby, by where they went.',
    routed.flatMap(({ database, reads }): [Labels, Value][] => [
      [{ database, to: 'standby' }, reads.readsOnStandbys],
      [{ database, to: 'primary' }, reads.readsOnPrimary],
    ]),
  );
  page.counter(
    'standby_wait_timeouts',
    'Reads that went to the primary after standby_wait.',
    reads('standbyWaitTimeouts'),
  );
  page.counter(
    'position_questions',
    'How often the primary was asked where it writes.',
    reads('positionQuestions'),
  );
  page.gauge(
    'node_logins_forgotten',
    'Users as whom nodes are not watched any more.',
    routed.map(({ database, loginsForgotten }) => [{ database }, loginsForgotten]),
  );
  addShapes(page, routed);
}

function addShapes(page: Exposition, routed: readonly RoutedDatabaseSnapshot[]): void {
  const of = (key: keyof ShapeFigures) =>
    routed.map(({ database, shapes }): [Labels, Value] => [{ database }, shapes?.[key] ?? null]);
  page.gauge('shapes', 'Shapes of statements that are known.', of('known'));
  page.counter(
    'shape_lookups',
    'Statements that were looked up by their shape.',
    routed.flatMap(({ database, shapes }): [Labels, Value][] => [
      [{ database, result: 'hit' }, shapes?.hits ?? null],
      [{ database, result: 'miss' }, shapes?.misses ?? null],
    ]),
  );
  page.counter('shape_evictions', 'Shapes that had to leave for others.', of('evictions'));
  page.counter('shape_questions', 'Statements that the parser was asked about.', of('questions'));
  page.counter(
    'shape_questions_deferred',
    'Statements that it was not, for there were too many.',
    of('deferred'),
  );
  page.counter('search_path_overflows', 'How often all search_paths were forgotten.', of('pathOverflows'));
}

export function addNodes(page: Exposition, routed: readonly RoutedDatabaseSnapshot[]): void {
  const nodes = routed
    .flatMap(({ database, nodes }) => nodes.map((node) => [{ database, node: node.name }, node] as const))
    .slice(0, NODES_SHOWN_MAX);
  const each = (value: (node: NodeSnapshot) => Value) =>
    nodes.map(([labels, node]): [Labels, Value] => [labels, value(node)]);
  const seconds = (ms: number | null) => (ms === null ? null : ms / MS_PER_S);
  page.gauge(
    'node_role',
    'What a node is: 1 for its role.',
    nodes.flatMap(([labels, { role }]) =>
      ROLES.map((each): [Labels, Value] => [{ ...labels, role: each }, each === role]),
    ),
  );
  page.gauge(
    'node_usable',
    'Nothing keeps its role from it.',
    each(({ state }) => state === ''),
  );
  page.gauge(
    'node_timeline',
    "PostgreSQL's timeline.",
    each(({ timeline }) => timeline),
  );
  page.gauge(
    'node_lag_bytes',
    'How far a standby is behind.',
    each(({ lagBytes }) => lagBytes),
  );
  page.gauge(
    'node_lag_seconds',
    'How old what it shows is at most.',
    each(({ lagMs }) => seconds(lagMs)),
  );
  page.gauge(
    'node_evidence_age_seconds',
    'How old its last word is.',
    each(({ evidenceAgeMs }) => seconds(evidenceAgeMs)),
  );
  page.gauge(
    'node_weight',
    'Its share of the reads.',
    each(({ weight }) => weight),
  );
  page.gauge(
    'node_reads_in_flight',
    'Reads that run there.',
    each(({ inUse }) => inUse),
  );
  page.counter(
    'node_reads',
    'Reads that were sent there.',
    each(({ reads }) => reads),
  );
  page.gauge(
    'node_read_seconds',
    'How long a read takes there.',
    each(({ latencyMs }) => seconds(latencyMs)),
  );
}

/** What the store says; nothing where no database has a cluster. */
export function addCluster(page: Exposition, status: ClusterStatus | null): void {
  if (status === null) return;
  const { cluster, news, ageMs, trouble } = status;
  const gauge = (name: string, help: string, value: Value) =>
    page.gauge(`cluster_${name}`, help, [[{ cluster }, value]]);
  gauge('term', 'The last term that was given out.', news?.term ?? null);
  gauge('led', 'Somebody leads.', news === null ? null : news.epoch !== null);
  gauge('timeline', 'The timeline on which the term began.', news?.epoch?.timeline ?? null);
  gauge('held', 'New transactions wait for the leader.', news?.isHeld ?? null);
  gauge('store_readable', 'The store was read at the last try.', trouble === null);
  gauge('store_age_seconds', 'How old its last word is.', ageMs === null ? null : ageMs / MS_PER_S);
}

/** Who says which nodes there are, where `nodes_from` asks somebody. */
export function addSources(page: Exposition, sources: readonly DiscoveryStatus[]): void {
  const each = (value: (status: DiscoveryStatus) => Value) =>
    sources.map((status): [Labels, Value] => [{ source: status.source }, value(status)]);
  page.gauge(
    'nodes_source_nodes',
    'Nodes that a source names.',
    each(({ nodes }) => nodes.length),
  );
  page.gauge(
    'nodes_source_answers',
    'It has answered when it was asked last.',
    each(({ trouble }) => trouble === null),
  );
  page.gauge(
    'nodes_source_age_seconds',
    'How old its last answer is.',
    each(({ ageMs }) => (ageMs === null ? null : ageMs / MS_PER_S)),
  );
}
