/** What must be known of a server connection when it is lost: whether its client can do without it, and what may have been committed. */
import * as Backend from '../../wire/backend.js';
import type { ParameterSet } from '../parameters.js';
import type { Exchange } from './exchange.js';

/** The server connection, as this sees it. */
export interface LostServer {
  readonly exchange: Exchange;
  readonly isPipe: boolean;
  readonly isPinned: boolean;
  readonly isProbing: boolean;
  readonly isSuspect: boolean;
}

export class LossFacts {
  /** Its client has sent what may end a transaction block with a commit. */
  mayCommit = false;
  /** In which batch its session's state became uncertain, and whether in a transaction block. */
  private batch = 0;
  private isInBlock = false;
  /** What its client's reported parameters were before the transaction that began at this time, in ms. */
  private before: ParameterSet | null = null;
  private beganAt = 0;

  /** The state of its session becomes uncertain by what is sent next. */
  suspected({ batch, statusOfNext: status }: Exchange): void {
    this.batch = batch;
    this.isInBlock = status !== Backend.Idle;
  }

  /** A parameter of its client's is about to be another one, in the transaction that began at this time, in ms. */
  parameterChanges(parameters: ParameterSet, { status }: Exchange, beganAt: number): void {
    if (status === Backend.Idle) this.before = null;
    else if (this.before === null || this.beganAt !== beganAt) this.before = parameters;
    this.beganAt = beganAt;
  }

  /** What its client is told of its loss. @param beganAt when the last transaction began, in ms */
  of(server: LostServer, beganAt: number) {
    const { exchange } = server;
    return {
      // The question what its session holds is nothing of the client's.
      requestInFlight: exchange.outstanding > 0 && !server.isProbing,
      mayStay: this.mayBeOutlived(server),
      isDoubtful: this.isDoubtful(server),
      mayHaveCommitted: this.mayHaveCommitted(exchange),
      parametersBefore: this.beganAt === beganAt ? this.before : null,
    };
  }

  /** Another client is served. */
  bound(): void {
    this.mayCommit = false;
    this.before = null;
  }

  /** What its client is known to have on it follows the client to the next one. */
  mayBeOutlived(server: LostServer): boolean {
    const { exchange, isPipe, isPinned } = server;
    if (isPipe || isPinned || exchange.isCopying) return false;
    return exchange.statusOfNext === Backend.Idle || !this.isDoubtful(server);
  }

  /** A transaction that is over may have changed its client's session, and what has become of that was not found out. */
  private isDoubtful({ exchange, isProbing, isSuspect }: LostServer): boolean {
    if (isProbing || !isSuspect) return isProbing;
    // What has not been answered has left nothing that its client relies on, nor has what is rolled back.
    return exchange.statusOfNext === Backend.Idle ? this.batch < exchange.oldestBatch : !this.isInBlock;
  }

  /** Something may be committed by what is under way. */
  mayHaveCommitted({ outstanding, statusOfNext: status }: Exchange): boolean {
    if (outstanding === 0) return false;
    return status === Backend.Idle || (status === Backend.InTransaction && this.mayCommit);
  }
}
