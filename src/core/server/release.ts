/**
 * When a server connection may leave its link: the last answer was ReadyForQuery with status idle, no request is
 * unanswered, no batch of extended messages waits for its Sync, and the client is not in the middle of a message.
 *
 * The predicate is a field of an object so that the simulator's own test can replace it with a wrong one, and show
 * that the simulator notices.
 */
import * as Backend from '../../wire/backend.js';

/** What the decision rests on. */
export interface ReleaseFacts {
  /** The last ReadyForQuery's status byte. */
  readonly status: number;
  readonly outstandingRequests: number;
  /** `batchOpen`: extended-protocol messages were sent, and not yet the Sync that ends them. */
  readonly exchange: { readonly batchOpen: boolean };
  readonly clientMidMessage: boolean;
}

export const releasePolicy = {
  isReleasable(server: ReleaseFacts): boolean {
    return (
      server.status === Backend.Idle &&
      server.outstandingRequests === 0 &&
      !server.exchange.batchOpen &&
      !server.clientMidMessage
    );
  },
};
