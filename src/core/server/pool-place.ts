/** What a pool has noted about one of its server connections; the connection itself doesn't look at it. */

import { PINNED_PROBE_MS } from '../limits.js';

/** A query of the gateway's own on a server connection without a client. */
export type OwnWork =
  | 'recovery question'
  | 'connect'
  | 'first question'
  | 'test'
  | 'rollback'
  | 'reset'
  | 'last question';

const OPENING: ReadonlySet<OwnWork> = new Set(['recovery question', 'connect', 'first question']);

/** Where a server connection stands in its pool. */
export class PoolPlace {
  /** It belongs to no pool, and who opened it logs what is worth knowing. */
  isQuiet = false;
  /** It is free. */
  isResting = false;
  /** It has what a client has set, and goes to others last. */
  isKept = false;
  /** When it became free, in ms. */
  idleSince = 0;
  /** It has rested for so long that it must be tested before it is used (PgBouncer's state `used`). */
  needsTest = false;
  /** What is being done with it (PgBouncer's state `tested`). */
  ownWork: OwnWork | null = null;
  /** What it answered to `REMAINS_QUESTION` when it was new; null: that is not known. */
  fresh: string | null = null;
  /** When the gateway's last query of its own began, in ms. */
  ownWorkAt = 0;
  /** When its client left in the middle of something, in ms. */
  abandonedAt = 0;

  /** It has been logged in, and is not ready for clients yet. */
  get isOpening(): boolean {
    return this.ownWork !== null && OPENING.has(this.ownWork);
  }

  /** Not all that pins a link is taken back by a statement that shows it (a cursor is closed, a table dropped by a function). */
  mayBeUnpinned(now: number): boolean {
    return now >= this.ownWorkAt + PINNED_PROBE_MS;
  }
}
