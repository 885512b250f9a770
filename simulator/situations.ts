/**
 * What a run may come into. A run counts each time that it did, so that a test can show that a trap of the protocol
 * was really met and not only thought of.
 */

export const SITUATIONS = [
  'an answer made by the gateway waits for answers of the server',
  'an answer made by the gateway waits for the end of a message',
  'a Query is skipped after an error',
  'a message is skipped after an error',
  'answers without a Sync',
  'a pipeline gets no server connection',
  'a server is idle between two batches of a pipeline',
  'a statement with parameter types of its own',
  'the Parse of a named statement fails',
  'a statement may exist or not',
  'an eviction is skipped with its batch',
  'the unnamed statement is prepared again',
  'all prepared statements are dropped',
  'PREPARE in SQL',
  'a client hears what it listens to',
  'a client hears what it has sent itself',
  'a client is told that it may have missed notifications',
  'DEALLOCATE of what the protocol has prepared',
  'EXECUTE of a statement that the client has not prepared',
  'a server connection takes on the parameters of its client',
  'the parameters of a client are refused',
  'SET is undone by ROLLBACK',
  'SET is undone by ROLLBACK TO SAVEPOINT',
  'SET LOCAL ends with its transaction',
  'state that is not reported is reset',
  'a server process is not as it was when it was new',
  'a statement waits for an advisory lock',
  'a server connection takes on what its client has set',
  'a server connection refuses what its client has set',
  'a server ends instead of serving a session that it refuses',
  'a client is told that its session was refused',
  'a server is asked what the session holds',
  'a session keeps its server connection',
  'a session lets its server connection go',
  'a message of the server that nobody asked for, at rest',
  'a message of the server that nobody asked for, at work',
  'a client leaves within a transaction',
  'a client leaves while its query runs',
  'a query is cancelled for a client that is gone',
  'a cancel request hits its query',
  'a cancel request comes too late',
  'data of a COPY that has failed',
  'Sync within COPY FROM STDIN',
  'a function call',
  'a server falls silent',
  'FATAL at rest',
  'FATAL within a transaction',
  'an error without SQLSTATE',
  'a client leaves within a message of its answer',
  'bytes behind SSLRequest',
  'direct TLS for another application',
  'GSSENCRequest is refused',
  'a wrong password',
  'a login while servers cannot be reached',
  'the protocol version is negotiated',
  'a piece shorter than a header',
  'a server is asked for the newest protocol',
  'a unix socket serves',
  'a unix socket is passed over',
  'a database is paused',
  'RECONNECT has replaced all server connections',
  'a client is closed between two transactions, to drain',
  'a client outlives its server connection',
] as const;

export type Situation = (typeof SITUATIONS)[number];

/** Takes note of a situation. */
export type Note = (situation: Situation) => void;

export type Counts = Map<Situation, number>;

/** Adds the counts of one run to those of several. */
export function addCounts(sum: Counts, counts: ReadonlyMap<Situation, number>): void {
  for (const [situation, times] of counts) sum.set(situation, (sum.get(situation) ?? 0) + times);
}
