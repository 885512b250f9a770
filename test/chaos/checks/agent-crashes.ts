/** Check 9: agents that die in the middle of something, and are started again as their service does it. */
import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StateName } from '../../../src/cluster/states.js';
import { until } from '../../harness/until.js';
import type { DatabaseNode } from '../clusters/database-node.js';
import { untilWhole } from '../clusters/etcd.js';
import type { SluiceCluster } from '../clusters/sluice-cluster.js';
import { FAULTS, type Fault, type Stricken } from '../faults.js';
import { signalAll } from '../ground/program.js';
import { writableNode } from '../round.js';
import { type Check, type CheckPart, type Scene, underFault } from './check.js';

const CRASH_POINT = new URL('../crash-point.js', import.meta.url);
const SERVICE_MS = 500;
const WHOLE_LIMIT_MS = 60_000;
/** States of who is about to lead, in their order. */
const RISING = ['acquiring', 'promoting', 'publishing', 'opening', 'leading'] as const;
/** States of a primary that hands over. */
const YIELDING = ['draining', 'yielding'] as const;

/** Starts agents again that have ended, as a service does, until it is stopped. */
class Service {
  /** How many agents it has found dead. */
  starts = 0;
  #isOver = false;
  readonly #work: Promise<void>;

  constructor(cluster: SluiceCluster) {
    this.#work = this.#run(cluster);
  }

  async #run(cluster: SluiceCluster): Promise<void> {
    while (!this.#isOver) {
      for (const node of cluster.nodes) {
        if (!cluster.agentOf(node).ended) continue;
        this.starts++;
        await cluster.boot(node);
      }
      await pause(SERVICE_MS);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#work;
  }
}

/** Gives a node an agent that will die in a state. */
async function arm(cluster: SluiceCluster, node: DatabaseNode, state: StateName): Promise<void> {
  const agent = cluster.agentOf(node);
  agent.signal('SIGKILL');
  await until(`${agent.name} to end`, () => agent.ended);
  const env = { NODE_OPTIONS: `--import=${fileURLToPath(CRASH_POINT)}`, SLUICE_CHAOS_CRASH_IN: state };
  await cluster.bootWith(node, env);
  await untilWhole('the cluster with an armed agent', cluster.nodes, WHOLE_LIMIT_MS);
}

async function armStandbys(cluster: SluiceCluster, state: StateName): Promise<void> {
  const primary = await writableNode(cluster);
  for (const node of cluster.nodes) if (node !== primary) await arm(cluster, node, state);
}

/** Makes the primary one whose agent is armed. The one that it was isn't: it would die as it comes back. */
async function armPrimary(cluster: SluiceCluster, state: StateName): Promise<void> {
  await armStandbys(cluster, state);
  await cluster.switchOver();
  await untilWhole('the cluster with an armed primary', cluster.nodes, WHOLE_LIMIT_MS);
}

/** A part in which agents die in a state while `strike` is suffered. */
function dyingIn(
  state: StateName,
  armed: (cluster: SluiceCluster, state: StateName) => Promise<void>,
  fault: (scene: Scene) => Omit<Fault, 'what'>,
): CheckPart {
  const what = `in the state "${state}"`;
  return {
    what,
    stage: { stores: 1 },
    attempt: async (scene) => {
      await armed(scene.cluster, state);
      const { begin, end, ...rest } = fault(scene);
      const service: { is: Service | null } = { is: null };
      const within: Fault = {
        ...rest,
        what,
        begin: async (stricken) => {
          service.is = new Service(scene.cluster);
          await begin(stricken);
        },
        end,
      };
      const more = async () => {
        const died = () => (service.is?.starts ?? 0) > 0;
        await until('an agent to die', died, WHOLE_LIMIT_MS).catch(() => {});
        await untilWhole('the cluster', scene.cluster.nodes, WHOLE_LIMIT_MS);
        await service.is?.stop();
        return died() ? [] : ['no agent died'];
      };
      const attempt = await underFault({ what, fault: within, more })
        .attempt(scene)
        .finally(() => service.is?.stop());
      return { ...attempt, told: `${service.is?.starts} agents died; ${attempt.told}` };
    },
  };
}

const nothing = async (): Promise<void> => {};
const kill = (): Omit<Fault, 'what'> => ({ ...FAULTS.kill, isSilent: true, end: nothing });
/** The agent dies in the middle of it, so that it can't be the planned one that it was. */
const switchOver = ({ cluster }: Scene): Omit<Fault, 'what'> => ({
  takesOver: true,
  isSilent: true,
  begin: async () => {
    void cluster.switchOver().catch(() => {});
  },
  end: nothing,
});
const cutOff = (): Omit<Fault, 'what'> => ({ ...FAULTS.split });
/** A standby without data clones. */
const emptied = ({ cluster }: Scene): Omit<Fault, 'what'> => ({
  takesOver: false,
  passesAfterMs: 5_000,
  begin: async ({ primary }: Stricken) => {
    const standby = cluster.nodes.find((node) => node !== primary)!;
    signalAll(standby.processes(), 'SIGKILL');
    rmSync(standby.data, { recursive: true });
  },
  end: nothing,
});

export const AGENT_CRASHES: Check = {
  number: 9,
  name: 'an agent that dies at any step: what it was at is completed, or undone',
  parts: [
    ...RISING.map((state) => dyingIn(state, armStandbys, kill)),
    ...YIELDING.map((state) => dyingIn(state, armPrimary, switchOver)),
    dyingIn('rejoining', armPrimary, cutOff),
    dyingIn('cloning', armStandbys, emptied),
  ],
};
