/** Why server connections are closed, in the words of PgBouncer's log (objects.c, janitor.c). */

/** Their database, or what is needed to reach it, has been changed. */
export const CONFIGURATION_CHANGED = 'database configuration changed';
export const LIFETIME_OVER = 'server lifetime over';
export const IDLE_TIMEOUT = 'server idle timeout';
export const PAUSED = 'pause mode';
export const TOO_MANY = 'too many servers in the pool';
export const DIRTY = 'idle server got dirty';
export const RESET_FAILED = 'reset query failed';
export const TEST_FAILED = 'test query failed';
/** It was free, and another pool needed the room under a common limit. */
export const EVICTED = 'evicted';
/** Its client has gone, with a transaction that can't be ended, a query, or half a message of its own under way. */
export const NOT_READY = 'client disconnect while server was not ready';
export const QUERY_IN_PROGRESS = 'client disconnected with queries in progress';
export const UNFINISHED_INPUT = 'client disconnect before everything was sent to the server';
/** It could not be given what its client's session has. */
export const UNFIT = 'invalid server parameter';
/** It has gone without a word. */
export const CRASHED = 'server conn crashed?';
/** Its session has left what DISCARD ALL does not take back. */
export const NOT_AS_NEW = 'session left more than the reset query takes back';
/** Its node has said nothing for too long, and what it was asked for is asked elsewhere. */
export const NODE_SILENT = 'node does not answer';
/** A read on it, one of several in a pipeline, has taken too long or left a transaction. */
export const FAILED_READ = 'a read in its pipeline failed';
/** Another node is the primary now. */
export const PRIMARY_CHANGED = 'another node is the primary';
/** A switchover is under way, and it serves nobody. */
export const PRIMARY_HANDS_OVER = 'the primary hands over';
