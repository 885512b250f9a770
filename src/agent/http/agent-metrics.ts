/** An agent's numbers in Prometheus' text format. */
import { STATE_NAMES } from '../../cluster/states.js';
import type { AgentConfig } from '../../config/agent-config.js';
import { Exposition, type Value } from '../../control/metrics/exposition.js';
import type { NodeAgent } from '../node-agent.js';
import { nodeHealth } from './node-health.js';

/** The whole page. */
export function agentMetrics(agent: NodeAgent, { cluster, node }: AgentConfig): string {
  const health = nodeHealth(agent);
  const { control = null } = agent.state.view ?? {};
  const page = new Exposition('sluice_agent_');
  const labels = { cluster: cluster.name, node };
  const gauge = (name: string, help: string, value: Value) => page.gauge(name, help, [[labels, value]]);
  gauge('primary', 'It leads, and lets clients write.', health.role === 'primary');
  gauge('replica', 'It follows a primary.', health.role === 'replica');
  gauge('postgres_running', 'PostgreSQL runs.', health.isRunning);
  gauge('synchronous', 'Commits may wait for it.', health.isSynchronous);
  gauge('term', 'The last term that was given out.', health.term);
  gauge('timeline', "PostgreSQL's timeline.", health.timeline);
  gauge('wal_bytes', 'How far its WAL goes, in bytes from its beginning.', health.lsn);
  gauge('lag_bytes', 'How far it is behind the primary.', health.lagBytes);
  gauge('paused', 'The cluster is paused.', control?.paused ?? null);
  gauge('store_seen', 'What the store shows is known and understood.', agent.state.view !== null);
  gauge('loop_delay_worst_seconds', "The worst delay of the agent's beat.", agent.lateness.worstMs / 1000);
  page.gauge(
    'state',
    'What the agent is at.',
    STATE_NAMES.map((state) => [{ ...labels, state }, state === health.state]),
  );
  const { lateBeats } = agent.lateness;
  page.counter('late_beats', 'Beats that came more than 250 ms late.', [[labels, lateBeats]]);
  return page.text;
}
