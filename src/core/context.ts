/** What all parts of one gateway share. */
import type { Io } from './io.js';
import type { ParameterSets } from './parameters.js';
import type { GatewaySettings } from './settings.js';
import type { Counters } from './snapshot.js';
import type { StatementCatalogue } from './statements.js';

export interface GatewayContext {
  readonly io: Io;
  /** Replaced as a whole on reload. */
  settings: GatewaySettings;
  readonly catalogue: StatementCatalogue;
  readonly parameterSets: ParameterSets;
  readonly counters: Counters;
  /** A number for a client or server connection, which nobody else has had. */
  readonly newId: () => number;
  /** Nothing is read from clients (SUSPEND). */
  suspended: boolean;
}
