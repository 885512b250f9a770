/** What a deliberate defect is, and where it sits. */
import type { Effect } from '../../src/cluster/inputs.js';
import type { begin, step } from '../../src/cluster/machine.js';
import type { LastingState } from '../../src/stores/embedded/embedded-state.js';
import type { SimNode } from './sim-node.js';

/** The machine that the agents run. */
export interface Machine {
  readonly begin: typeof begin;
  readonly step: typeof step;
}

/** Anything that is left out is as it should be. */
export interface Defect {
  /** Around the machine: what it is told, and what it remembers. */
  machine?(machine: Machine): Machine;
  /** Of what it wants done. */
  effect?(effect: Effect, node: SimNode): Effect | 'dropped';
  /** The moment from which a lease counts. */
  since?(node: SimNode): number;
  /** What the store finds when it starts again. */
  recover?(lasting: LastingState): LastingState;
  /** Nobody ends PostgreSQL when its permit is over, or its agent is gone. */
  readonly hasNoGuard?: true;
  /** A standby says that it receives nothing more, and goes on receiving. */
  readonly detaches?: false;
  /** A rewind does nothing but what `rewound` does. */
  readonly rewinds?: false;
  rewound?(node: SimNode, primary: SimNode): void;
  /** After PostgreSQL has started. */
  started?(node: SimNode): void;
}
