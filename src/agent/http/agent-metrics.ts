/** An agent's numbers in Prometheus' text format. */
import { STATE_NAMES } from '../../cluster/states.js';
import type { AgentConfig } from '../../config/agent-config.js';
import type { NodeAgent } from '../node-agent.js';
import { nodeHealth } from './node-health.js';

/** The whole page. */
export function agentMetrics(agent: NodeAgent, { cluster, node }: AgentConfig): string {
  const health = nodeHealth(agent);
  const { control = null } = agent.state.view ?? {};
  const labels = `cluster="${cluster.name}",node="${node}"`;
  const lines: string[] = [];
  const gauge = (name: string, help: string, value: number | boolean | null) => {
    if (value === null) return;
    lines.push(`# HELP sluice_agent_${name} ${help}`, `# TYPE sluice_agent_${name} gauge`);
    lines.push(`sluice_agent_${name}{${labels}} ${Number(value)}`);
  };
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
  lines.push('# HELP sluice_agent_state What the agent is at.', '# TYPE sluice_agent_state gauge');
  for (const state of STATE_NAMES) {
    lines.push(`sluice_agent_state{${labels},state="${state}"} ${Number(state === health.state)}`);
  }
  lines.push('# HELP sluice_agent_late_beats_total Beats that came more than 250 ms late.');
  lines.push('# TYPE sluice_agent_late_beats_total counter');
  lines.push(`sluice_agent_late_beats_total{${labels}} ${agent.lateness.lateBeats}`);
  return `${lines.join('\n')}\n`;
}
