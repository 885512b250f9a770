/** What the models of one world share. */
import type { Random } from '../random.js';
import type { Schedule } from '../schedule.js';
import type { SimIo } from '../sim-io.js';
import type { ListLedger } from './list-ledger.js';
import type { ModelCluster } from './model-cluster.js';
import type { RoutedPlan } from './plan.js';

export interface RoutedGround {
  readonly schedule: Schedule;
  readonly random: Random;
  readonly plan: RoutedPlan;
  readonly ledger: ListLedger;
  readonly cluster: ModelCluster;
  readonly io: SimIo;
  /** The name of the node that the gateway takes for the primary; null: it knows none. */
  /** New transactions wait at the gateway. */
  readonly isHeldByGateway: () => boolean;
  readonly primaryByGateway: () => string | null;
}
