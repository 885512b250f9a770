/** What all parts of one gateway share. */

import type { ErrorFields } from '../wire/error-fields.js';
import type { FailedLogins } from './failed-logins.js';
import type { Io } from './io.js';
import type { LocalSockets } from './local-sockets.js';
import type { ParameterSets } from './parameters.js';
import type { PinCounts } from './pin-counts.js';
import type { PipelineWatch } from './pool/pipeline-watch.js';
import type { LearntScramKeys } from './scram-keys.js';
import type { GatewaySettings } from './settings.js';
import type { SlowAnswers } from './slow-answers.js';
import type { Counters } from './snapshot.js';
import type { StatementCatalogue } from './statements.js';

export interface GatewayContext {
  readonly io: Io;
  /** Replaced as a whole on reload. */
  settings: GatewaySettings;
  readonly catalogue: StatementCatalogue;
  readonly parameterSets: ParameterSets;
  readonly counters: Counters;
  readonly pinCounts: PinCounts;
  /** Work that is done outside of the reactor. */
  readonly slow: SlowAnswers;
  /** Over reads that share server connections. */
  readonly pipelineWatch: PipelineWatch;
  /** Unix sockets of servers that are configured by a loopback address. */
  readonly localSockets: LocalSockets;
  readonly scramKeys: LearntScramKeys;
  readonly failedLogins: FailedLogins;
  /** Random for the process; makes the mock exchange of unknown users the same each time. */
  readonly mockKey: Uint8Array;
  /** A number for a client or server connection, which nobody else has had. */
  readonly newId: () => number;
  /** Nothing is read from clients (SUSPEND). */
  suspended: boolean;
  /** Everything is being closed, and nothing opened any more. */
  stopping: boolean;
  /** What each client is told when its transaction has ended, because the gateway is being drained; null: it may stay. */
  farewell: ErrorFields | null;
}
