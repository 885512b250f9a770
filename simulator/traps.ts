/**
 * The known traps of PostgreSQL's protocol for whoever stands between clients and servers, by number, and what shows
 * that the gateway does not fall into each: situations that simulated runs must come into (and hold), deliberate
 * defects that the simulator must notice, and tests of what isn't simulated. docs/protocol-traps.md is made from this.
 */
import type { FaultName } from './faults.js';
import type { Situation } from './situations.js';

export interface Trap {
  readonly number: number;
  /** What must be minded. */
  readonly title: string;
  readonly situations?: readonly Situation[];
  readonly faults?: readonly FaultName[];
  readonly tests?: readonly TestPlace[];
  /** What is not shown, or not built. */
  readonly open?: string;
}

/** A test that shows what the simulator can't. */
export interface TestPlace {
  /** From the repository's root. */
  readonly file: string;
  /** Stands in the file. */
  readonly words: string;
}

const OVERTAKING = 'answers made by the gateway overtake others';
const SPLITTING = 'release at the first ReadyForQuery';

export const TRAPS: readonly Trap[] = [
  {
    number: 1,
    title: 'A queue of what is owed for each link; answers made by the gateway come in their turn',
    situations: ['an answer made by the gateway waits for answers of the server'],
    faults: [OVERTAKING],
  },
  {
    number: 2,
    title: 'After an error everything up to the Sync is skipped, a simple Query included',
    situations: ['a Query is skipped after an error'],
    faults: ['skipped requests stay owed'],
  },
  {
    number: 3,
    title: 'Flush brings answers without a Sync',
    situations: ['answers without a Sync'],
    faults: ['Flush is dropped'],
  },
  {
    number: 4,
    title: 'A pipeline stays on one server connection, and ends as a whole when there is none for it',
    situations: [
      'a pipeline gets no server connection',
      'a server is idle between two batches of a pipeline',
    ],
    faults: [SPLITTING],
  },
  {
    number: 5,
    title: 'A server connection is released when it is idle and nothing is owed, not between two batches',
    situations: ['a server is idle between two batches of a pipeline'],
    faults: [SPLITTING, 'release inside a transaction'],
  },
  {
    number: 6,
    title: 'A prepared statement is its text with the types of its parameters',
    situations: ['a statement with parameter types of its own'],
    faults: ['parameter types are no part of a statement'],
  },
  {
    number: 7,
    title: 'A server has a statement once it has said ParseComplete, and not before',
    situations: ['the Parse of a named statement fails', 'a statement may exist or not'],
    faults: ['a statement counts as prepared once its Parse is sent'],
  },
  {
    number: 8,
    title: 'Statements evicted within a pipeline come back when its batch fails',
    situations: ['an eviction is skipped with its batch'],
    faults: ['an eviction that is skipped counts'],
  },
  {
    number: 9,
    title: 'The unnamed statement outlives a Sync, also on another server connection',
    situations: ['the unnamed statement is prepared again'],
    faults: ['the unnamed statement stays behind'],
  },
  {
    number: 10,
    title: 'DISCARD ALL and DEALLOCATE ALL drop what a client has prepared, and nothing of the others',
    situations: ['all prepared statements are dropped'],
    faults: ['statements that the server has dropped are counted on'],
  },
  {
    number: 11,
    title: 'PREPARE in SQL is not seen by other clients',
    situations: ['PREPARE in SQL', 'EXECUTE of a statement that the client has not prepared'],
    faults: [
      'PREPARE in SQL does not pin (session_state classic)',
      'statements prepared by SQL stay behind',
      'what a session leaves on its server connection does not pin it',
    ],
  },
  {
    number: 12,
    title: '"cached plan must not change result type" is healed outside a transaction',
    tests: [
      {
        file: 'test/integration/stale-plans.test.ts',
        words: 'are healed where the client asks for the columns',
      },
      { file: 'test/integration/stale-plans.test.ts', words: 'what was to be done is done once' },
    ],
  },
  {
    number: 13,
    title: 'Each client sees its own parameters; one whose parameters are refused goes no further',
    situations: [
      'a server connection takes on the parameters of its client',
      'the parameters of a client are refused',
    ],
    faults: ['parameters stay behind'],
  },
  {
    number: 14,
    title:
      'What a rollback undoes, also to a savepoint, and what SET LOCAL ends with, is undone for the client',
    situations: [
      'SET is undone by ROLLBACK',
      'SET is undone by ROLLBACK TO SAVEPOINT',
      'SET LOCAL ends with its transaction',
    ],
    faults: ['parameters stay behind'],
  },
  {
    number: 15,
    title: 'State that a server does not report is gone before another client comes (pool_mode session)',
    situations: ['state that is not reported is reset', 'a server process is not as it was when it was new'],
    faults: ['sessions are not reset', 'what sessions leave in their processes is overlooked'],
  },
  {
    number: 16,
    title: "Queries of the gateway's own don't depend on the search_path of a client",
    tests: [{ file: 'test/integration/auth-query.test.ts', words: 'runs with a fixed search_path' }],
  },
  {
    number: 17,
    title: 'Notices, notifications and parameter reports come at any time, and mean nothing for a link',
    situations: [
      'a message of the server that nobody asked for, at rest',
      'a message of the server that nobody asked for, at work',
    ],
    faults: ['a notice counts as an answer'],
  },
  {
    number: 18,
    title: 'A transaction whose client is gone is rolled back, or its connection closed',
    situations: [
      'a client leaves within a transaction',
      'a client leaves while its query runs',
      'a query is cancelled for a client that is gone',
    ],
    faults: ['release inside a transaction'],
  },
  {
    number: 19,
    title: 'A cancel request hits no other query than the one it is for',
    situations: ['a cancel request hits its query', 'a cancel request comes too late'],
    faults: ['a server connection is handed on while it is being cancelled'],
    tests: [{ file: 'test/integration/cancel.test.ts', words: 'a hundred cancels that come too late' }],
  },
  {
    number: 20,
    title: 'A cancel key names its process, whatever its length',
    tests: [
      { file: 'test/integration/peers.test.ts', words: 'a cancel request finds its process' },
      { file: 'test/integration/peers.test.ts', words: 'travels three hops at most' },
    ],
  },
  {
    number: 21,
    title: 'What still comes of a COPY that has failed is no request',
    situations: ['data of a COPY that has failed'],
    faults: ['CopyDone outside of COPY is owed an answer'],
  },
  {
    number: 22,
    title: 'A server ignores Sync within COPY FROM STDIN',
    situations: ['Sync within COPY FROM STDIN'],
    faults: ['every Sync is owed an answer'],
  },
  {
    number: 23,
    title: 'CopyBoth passes both ways until both sides have ended it',
    tests: [
      {
        file: 'test/integration/replication.test.ts',
        words: 'the stream goes both ways, and ends with its client',
      },
    ],
  },
  {
    number: 24,
    title: 'A function call is a request with a ReadyForQuery of its own',
    situations: ['a function call'],
    faults: ['a function call is owed no answer'],
  },
  {
    number: 25,
    title: "A server's last words reach a client that is in the middle of something, and no other",
    situations: ['FATAL at rest', 'FATAL within a transaction'],
    faults: ['the end of a connection is not noticed'],
  },
  {
    number: 26,
    title: 'One error for one batch',
    situations: ['a message is skipped after an error'],
    faults: ['errors are told twice'],
  },
  {
    number: 27,
    title: 'What servers send is not trusted: errors without a SQLSTATE, lengths, fields',
    situations: ['an error without SQLSTATE'],
    tests: [
      {
        file: 'src/core/server/server-admission.test.ts',
        words: 'in place of the proof that the server owes',
      },
      { file: 'src/wire/hostile-bodies.test.ts', words: 'cut at any byte, is refused' },
      { file: 'src/wire/error-fields.test.ts', words: 'a body that is cut anywhere' },
    ],
  },
  {
    number: 28,
    title: 'Nothing is written into a message that is being passed on',
    situations: [
      'an answer made by the gateway waits for the end of a message',
      'a client leaves within a message of its answer',
    ],
    faults: [OVERTAKING],
  },
  {
    number: 29,
    title: 'Bytes that came before a TLS handshake are refused; direct TLS is for PostgreSQL alone',
    situations: ['bytes behind SSLRequest', 'direct TLS for another application', 'GSSENCRequest is refused'],
    faults: ['bytes behind SSLRequest are read'],
    tests: [{ file: 'src/reactor/drivers-tls.test.ts', words: 'agrees on the application protocol' }],
  },
  {
    number: 30,
    title: 'SCRAM offers channel binding where it can verify it, and nowhere else',
    tests: [
      { file: 'src/wire/scram.test.ts', words: 'the flag must agree with the mechanism' },
      { file: 'test/integration/tls-authentication.test.ts', words: 'SCRAM is bound to the session' },
      { file: 'test/integration/tls-authentication.test.ts', words: 'a certificate that is replaced' },
    ],
  },
  {
    number: 31,
    title: 'Unknown users get the exchange that known ones get',
    situations: ['a wrong password'],
    tests: [
      { file: 'src/wire/scram.test.ts', words: 'the mock of an unknown user is always the same' },
      { file: 'test/integration/authentication.test.ts', words: 'an unknown user' },
    ],
  },
  {
    number: 32,
    title: 'A login while no server can be reached ends in bounded time',
    situations: ['a login while servers cannot be reached', 'a server falls silent'],
  },
  {
    number: 33,
    title: 'Newer protocol versions and options are negotiated',
    situations: ['the protocol version is negotiated'],
    faults: ['the protocol version is not negotiated'],
    tests: [{ file: 'test/integration/startup.test.ts', words: 'unknown protocol options are named' }],
  },
  {
    number: 34,
    title: 'Startup options are parsed, and none is dropped',
    tests: [
      { file: 'test/integration/startup.test.ts', words: 'options are taken apart' },
      { file: 'test/integration/startup.test.ts', words: 'options that are no settings are refused' },
    ],
  },
  {
    number: 35,
    title: 'Host names are resolved again, and connections to vanished addresses end',
    tests: [{ file: 'src/core/hosts.test.ts', words: 'what has vanished is told' }],
  },
  {
    number: 36,
    title: 'Every message may be cut anywhere, and any buffer may be full',
    situations: ['a piece shorter than a header'],
    faults: ['drained is lost', 'congestion is ignored'],
    tests: [
      { file: 'test/differential/differential.test.ts', words: 'at every byte' },
      { file: 'src/wire/framing.test.ts', words: 'wherever the stream is cut in two' },
    ],
  },
  {
    number: 37,
    title:
      'What a session has set follows its client to other server connections, and what cannot follow keeps the one',
    situations: [
      'a server is asked what the session holds',
      'a server connection takes on what its client has set',
      'a session keeps its server connection',
      'a session lets its server connection go',
      'a statement waits for an advisory lock',
    ],
    faults: [
      'a session is not asked for its state',
      'settings stay behind',
      'what a session leaves on its server connection does not pin it',
    ],
    tests: [
      {
        file: 'test/integration/model-session.test.ts',
        words: 'the model of a session answers as PostgreSQL does',
      },
    ],
  },
];
