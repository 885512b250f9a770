/**
 * The one error class of the codec. It is thrown by readers for bytes that break the protocol and by builders for
 * values that no message can carry; whoever feeds a connection's bytes in catches it and closes that connection.
 */
import { SqlState } from './sqlstate.js';

/** Whose fault it was: the application's connection, the PostgreSQL server's, or our own. */
export type Peer = 'client' | 'server' | 'self';

export interface ViolationOptions {
  /** Default: `08P01`, protocol_violation. */
  readonly sqlstate?: string;
  /** Default: FATAL, because the place of the next message can't be trusted any more. */
  readonly severity?: 'ERROR' | 'FATAL';
}

export class ProtocolViolation extends Error {
  readonly sqlstate: string;
  readonly severity: 'ERROR' | 'FATAL';
  readonly peer: Peer;

  /** @param message one sentence in PostgreSQL's style: lower case, no full stop, fit to be sent to a client. */
  constructor(peer: Peer, message: string, options: ViolationOptions = {}) {
    super(message);
    this.name = 'ProtocolViolation';
    this.peer = peer;
    this.sqlstate = options.sqlstate ?? SqlState.protocol_violation;
    this.severity = options.severity ?? 'FATAL';
  }
}
