/** What the models of a run share. */
import type { Ledger } from './ledger.js';
import type { Plan } from './plan.js';
import type { Random } from './random.js';
import type { Schedule } from './schedule.js';
import type { SimIo } from './sim-io.js';

export interface Ground {
  readonly schedule: Schedule;
  readonly ledger: Ledger;
  readonly plan: Plan;
  readonly random: Random;
  readonly io: SimIo;
}
