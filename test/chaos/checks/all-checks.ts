/** The twelve checks of a cluster of Sluice's, by their numbers. */
import { AGENT_CRASHES } from './agent-crashes.js';
import { CANCELLED_COMMITS } from './cancelled-commits.js';
import type { Check } from './check.js';
import { LOSSES, WAITING } from './losses.js';
import { NO_REWIND } from './no-rewind.js';
import { ROLLING_GATEWAYS } from './rolling-gateways.js';
import { SICK_MACHINES } from './sick-machines.js';
import { STALE_PRIMARY } from './stale-primary.js';
import { STALE_READS } from './stale-reads.js';
import { STORE_LOSS } from './store-loss.js';

export const CHECKS: readonly Check[] = [
  ...LOSSES,
  STALE_PRIMARY,
  STALE_READS,
  WAITING,
  CANCELLED_COMMITS,
  SICK_MACHINES,
  AGENT_CRASHES,
  STORE_LOSS,
  NO_REWIND,
  ROLLING_GATEWAYS,
];
