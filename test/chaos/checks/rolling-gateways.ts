/** Check 12: gateways are replaced under load. */
import { FAULTS } from '../faults.js';
import { type Check, underFaults } from './check.js';

const { gateways } = FAULTS;

export const ROLLING_GATEWAYS: Check = {
  number: 12,
  name: 'gateways restarted in turn: no error for clients between transactions',
  parts: underFaults({ gateways }),
};
