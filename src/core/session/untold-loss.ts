/**
 * A client between two transactions whose session may have lost something with its server connection, of which it has not been
 * told yet: that is the answer to what it asks next, and that is all.
 */
import type { Owed } from '../link.js';
import * as Request from '../server/request-queue.js';
import { UnservedRequests } from './unserved-requests.js';

export class UntoldLoss extends UnservedRequests {
  private isTold = false;

  /** A Sync alone asks for nothing; what is answered here, such as a Close, is a part of what is told. */
  override answer(owed: Owed): void {
    const { exchange } = owed;
    for (; exchange.outstanding > 0; exchange.complete()) {
      const isOurs = (exchange.first & Request.SWALLOWED) !== 0;
      if (!isOurs && exchange.firstKind !== Request.SYNC) return super.answer(owed);
      if (!isOurs) this.ready();
    }
  }

  protected override refuse(): void {
    super.refuse();
    this.isTold = true;
  }

  protected override ready(): void {
    if (this.isTold) this.finish();
    super.ready();
  }
}
