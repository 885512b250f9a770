/**
 * A transaction block whose server connection is gone. To its client it is one that has failed: it is told once why, all else is
 * refused, and its end is answered here. What ends it otherwise than by a simple Query goes to a server connection on which a
 * block has failed, too.
 */

import { transactionEnd } from '../../sql/transaction-end.js';
import * as Backend from '../../wire/backend.js';
import { buildQuery } from '../../wire/client-messages.js';
import { buildErrorResponse } from '../../wire/error-fields.js';
import { BLOCK, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { buildCommandComplete, buildReadyForQuery } from '../../wire/server-messages.js';
import { SEARCHED_BYTES_MAX } from '../limits.js';
import type { ServerConnection } from '../server/server-connection.js';
import { READY_IDLE } from './fixed-answers.js';
import { PASS } from './message-handler.js';
import { ABORTED } from './session-errors.js';
import { type UnservedClient, UnservedRequests } from './unserved-requests.js';

/** The client, as this sees it. */
export interface LostClient extends UnservedClient {
  readonly link: ServerConnection | null;
  /** True when a server connection is linked; else the message is judged again later (BLOCK). */
  ensureLink(): boolean;
}

const READY_FAILED = buildReadyForQuery(Backend.InFailedTransaction);
const ROLLED_BACK = buildCommandComplete('ROLLBACK');
const REFUSED = buildErrorResponse(ABORTED);
/** The server's log tells by it what this is about. */
const FAILED_BLOCK = buildQuery(
  'BEGIN; ROLLBACK TO SAVEPOINT "sluice: the transaction was lost with its server connection"',
);

export class LostBlock extends UnservedRequests {
  private readonly lost: LostClient;
  /** The client knows that the block has failed. */
  private isTold: boolean;

  constructor(client: LostClient, error: Uint8Array, isSkipping: boolean, isTold: boolean) {
    super(client, error, isSkipping);
    this.lost = client;
    this.isTold = isTold;
  }

  override message(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict | typeof PASS {
    if (this.isSkipping || type === Frontend.Sync) return super.message(type, total, bytes, position, end);
    if (type === Frontend.Query && total <= SEARCHED_BYTES_MAX) {
      if (end - position < total) return WHOLE;
      const how = transactionEnd(bytes, position + HEADER_BYTES, position + total - 1);
      if (how === 'commit' || how === 'rollback') return this.ends(how);
      if (how === 'other' && this.isTold) return this.failElsewhere();
    } else if (this.isTold && BEGINS_BATCH.has(type)) return this.failElsewhere();
    return super.message(type, total, bytes, position, end);
  }

  /** A COMMIT is refused once, and is a ROLLBACK then, as in PostgreSQL. */
  private ends(how: 'commit' | 'rollback'): Verdict {
    this.client.unnamedAnswered('refused');
    this.client.bypass = null;
    this.client.send(how === 'commit' && !this.isTold ? this.error : ROLLED_BACK);
    this.client.send(READY_IDLE);
    return SWALLOW;
  }

  private failElsewhere(): Verdict | typeof PASS {
    if (!this.lost.ensureLink()) return BLOCK;
    this.client.bypass = null;
    this.lost.link?.runAside(FAILED_BLOCK, false, null, true);
    return PASS;
  }

  protected override refuse(): void {
    super.refuse();
    this.isTold = true;
    this.error = REFUSED;
  }

  protected override ready(): void {
    this.client.send(READY_FAILED);
  }

  /** It ends with the block. */
  override finish(): void {}
}

const BEGINS_BATCH: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Close,
]);
