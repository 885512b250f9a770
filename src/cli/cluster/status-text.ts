/** A cluster's status, as people read it. */
import type { ClusterStatus, ClusterVerdict, NodeStatus } from '../../agent/cluster-status.js';
import { bytesText, lsnText } from '../../cluster/lsn-text.js';
import { textTable } from '../text-table.js';

const COLOURS: Readonly<Record<ClusterVerdict, string>> = {
  healthy: '\x1b[32m',
  degraded: '\x1b[33m',
  'no primary': '\x1b[31m',
};
const PLAIN = '\x1b[0m';

/** Who leads, the nodes, and what is wrong. */
export function statusText(status: ClusterStatus, isColoured: boolean): string {
  const { cluster, term, leader, timeline, nodes, gateways, problems, verdict } = status;
  const leads = leader === null ? 'nobody leads' : `led by ${leader}`;
  const lines = [
    `cluster  ${cluster}, ${leads}, term ${term}${timeline === null ? '' : `, timeline ${timeline}`}`,
    `commits  ${status.commits}`,
    `store    ${status.store}`,
  ];
  if (gateways.length > 0) lines.push(`gateways ${gateways.map(({ gateway }) => gateway).join(', ')}`);
  lines.push(
    '',
    ...(nodes.length === 0 ? ['no node is there'] : textTable([HEADING, ...nodes.map(nodeRow)])),
    '',
  );
  lines.push(isColoured ? `${COLOURS[verdict]}${verdict}${PLAIN}` : verdict);
  for (const { text, advice } of problems) {
    lines.push(`  ${text}`);
    if (advice !== null) lines.push(`    -> ${advice}`);
  }
  return `${lines.join('\n')}\n`;
}

const HEADING = [
  'node',
  'role',
  'state',
  'timeline',
  'LSN',
  'lag',
  'from',
  'sync',
  'priority',
  'address',
  'PostgreSQL',
];

function nodeRow(node: NodeStatus): string[] {
  const { name, role, state, timeline, lsn, lagBytes, receivesFrom } = node;
  const { isSynchronous, priority, address, version } = node;
  return [
    name,
    role === 'none' ? '-' : role,
    state,
    timeline === null ? '-' : String(timeline),
    lsn === null ? '-' : lsnText(lsn),
    lagBytes === null ? '-' : bytesText(lagBytes),
    receivesFrom ?? '-',
    isSynchronous ? 'yes' : '-',
    priority === 0 ? 'never' : String(priority),
    address,
    version ?? '-',
  ];
}
