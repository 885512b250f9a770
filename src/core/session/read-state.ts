/** The states of read-routing.ts. */

/** Where the current unit stands. */
export const ReadState = {
  /** There is none, or it is the primary's. */
  FREE: 0,
  /** It waits to be told which node may serve it. */
  ASKING: 1,
  /** A standby is to serve it. */
  ROUTED: 2,
  /** The primary is to serve it, whatever it is. */
  FORCED: 3,
  /** A standby serves it. */
  RUNNING: 4,
  /** Its transaction goes on on the primary, and has to begin there. */
  MOVING: 5,
  /** A standby serves its transaction, whose next read waits to be told whether that one has what it must see. */
  ASKING_AGAIN: 6,
  /** A standby serves it, as one of several in a pipeline. */
  PIPELINED: 7,
} as const;
