/** Every limit of the core that is not a setting, in one place. Settings are in settings.ts. */

/** A waiting client may send this much ahead before it is no longer read. Bytes. */
export const HELD_BYTES_MAX = 64 * 1024;

/** The text and parameter types of one Parse, which the gateway keeps. Bytes; PostgreSQL's own limit is 1 GB. */
export const PARSE_BYTES_MAX = 64 * 1024 * 1024;

/** What a server may say during its login in one message. Bytes. */
export const SERVER_LOGIN_MESSAGE_BYTES_MAX = 64 * 1024;

/** How much of an error is read for the gateway's own use; a longer one is passed on unread. Bytes. */
export const ERROR_BYTES_READ_MAX = 64 * 1024;

/** A message of a client that is not logged in yet: PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH and what frames it. Bytes. */
export const AUTH_MESSAGE_BYTES_MAX = 65_540;

/** Parameters of a startup packet. PostgreSQL has no limit but the packet's 10,000 bytes. */
export const STARTUP_PARAMETERS_MAX = 256;

/** SSLRequest and GSSENCRequest may each come once; more is a protocol violation. */
export const NEGOTIATIONS_MAX = 2;

/** Connections above max_client_conn that are kept just long enough to be told so. */
export const REFUSED_CLIENTS_MAX = 1000;

/** Distinct sets of reported parameters that are remembered. */
export const PARAMETER_SETS_MAX = 10_000;

/** Pools (database, user, startup parameters) that may exist. */
export const POOLS_MAX = 10_000;

/**
 * How long a server connection serves its own pool, while others wait for the room that it takes under a common limit, in
 * ms.
 */
export const TURN_MS = 1000;

/** Host names of servers whose addresses are remembered, beside those in use. */
export const HOST_NAMES_MAX = 10_000;

/** How long the proof that a unix socket leads to a server counts, in ms; then it is brought again, over TCP. */
export const LOCAL_SOCKET_PROOF_MS = 3_600_000;

/** How long a unix socket is left alone that has refused a login which TCP admits, in ms. */
export const LOCAL_SOCKET_REFUSED_MS = 3_600_000;

/** How long it is left alone where there is none, or it has failed in another way, in ms. */
export const LOCAL_SOCKET_RETRY_MS = 60_000;

/** Combinations of database, user and address whose unix socket is remembered; beyond that all are found out anew. */
export const LOCAL_SOCKETS_MAX = 10_000;

/** Named prepared statements that one client may have. */
export const STATEMENTS_PER_CLIENT_MAX = 100_000;

/** How long a server may say nothing to a client that will send no more and waits for its last answers, in ms. */
export const LAST_ANSWERS_MS_MAX = 10_000;

/**
 * A gateway that is being drained ends a client behind an answer, since few have sent their next statement by then, or
 * when it has rested for so long, in ms.
 */
export const DRAIN_REST_MS = 500;

/** Cancel requests that are under way to servers at one time; more are dropped, as a lost packet would be. */
export const CANCELS_IN_FLIGHT_MAX = 1000;

/** How often a cancel request may be passed on from process to process (PgBouncer's limit, and all that its keys can say). */
export const CANCEL_HOPS_MAX = 3;

/** A batch that is kept to be repeated when the server's plan is outdated; a longer one isn't. Bytes. */
export const HELD_BATCH_BYTES_MAX = 4096;

/** Longest and shortest time between two runs of the core's housekeeping, in ms. */
export const ADVANCE_MS_MAX = 1000;
export const ADVANCE_MS_MIN = 5;

/** A statement on the admin console. Bytes. */
export const CONSOLE_STATEMENT_BYTES_MAX = 64 * 1024;

/** Prepared statements, and portals, of one client of the admin console. */
export const CONSOLE_NAMES_MAX = 1000;

/** SCRAM keys learnt from clients that are remembered. */
export const SCRAM_KEYS_MAX = 10_000;

/** Addresses (of IPv6: networks) whose failed logins are counted. */
export const FAILED_LOGIN_ADDRESSES_MAX = 10_000;

/** How many seconds' worth of failed logins may come at once from an address. */
export const FAILED_LOGIN_BURST_S = 10;

/** How long an address from which somebody has logged in is not refused for failures, in ms. */
export const GOOD_ADDRESS_MS = 600_000;

/** What a session may have set and take to another server connection; with more its link is pinned. Bytes. */
export const STATE_BYTES_MAX = 16 * 1024;

/** A longer answer to the question for it is not read: its settings come as JSON in hexadecimal digits. Bytes. */
export const STATE_ROW_BYTES_MAX = 4 * STATE_BYTES_MAX;

/** Settings with a dot in their names that are asked for behind one client's transactions; with more its link is pinned. */
export const CUSTOM_SETTINGS_MAX = 100;

/** A longer query is not searched for what it may do to its session: it may do anything. Bytes. */
export const SEARCHED_BYTES_MAX = 64 * 1024;

/** Notifications that are kept for a client which is in a transaction, or doesn't read. Bytes. */
export const NOTIFICATION_BYTES_MAX = 1024 * 1024;

/** Channels that the shared connection serves for one client; with more its link is pinned. */
export const CHANNELS_PER_CLIENT_MAX = 100;

/** How long a shared connection is kept that nobody needs any more, in ms. */
export const LISTENING_IDLE_MS = 10_000;

/** How many users of those who listen are tried one after the other, when the server refuses their logins, before it is left alone. */
export const LISTENING_USERS_TRIED_MAX = 4;

/** How often each node of a database is asked for its role, in ms. */
export const NODE_LOOK_MS = 250;

/** A node that has not answered for so long is not counted on any more, in ms. */
export const NODE_SILENCE_MS_MAX = 2000;

/** How long a login to a node may take when it is to be watched, in ms. */
export const NODE_OPENING_MS_MAX = 5000;

/** Shortest and longest pause between two attempts to reach a node that is lost, in ms. */
export const NODE_RETRY_MS_MIN = 100;
export const NODE_RETRY_MS_MAX = 1000;

/** The shortest pause where the node is there, and closed to everybody: one of a cluster that is about to be opened, in ms. */
export const CLOSED_NODE_RETRY_MS_MIN = 15;

/** How long a cancel request waits to be told whether a commit waits for standbys, in ms. */
export const COMMIT_ANSWER_MS_MAX = 1000;

/** Users of a database whose logins are remembered for watching its nodes. */
export const NODE_LOGINS_MAX = 8;

/** How long a query of ours to a primary may run, and how long its connection is kept without one, in ms. */
export const OWN_QUERY_MS_MAX = 60_000;
export const OWN_CONNECTION_IDLE_MS = 10_000;

/** What is read of the answer to a question of the gateway's own (a catalogue), on a connection that serves no client. Bytes. */
export const OWN_ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** How often a pinned link asks whether it must still be, though no statement shows that it need not; in ms. */
export const PINNED_PROBE_MS = 1000;

/** A longer row that answers a query of the gateway's own is not read. Bytes. */
export const OWN_ROW_BYTES_MAX = 256;

/** Statements whose shape is known, of each database that is routed; what was not asked for lately is forgotten. */
export const SHAPES_MAX = 8192;

/** How many of them SHOW SHAPES lists of each database. */
export const SHAPES_SHOWN_MAX = 1000;

/** Statements of a database about which the control plane is being asked; others go to the primary meanwhile. */
export const STATEMENT_QUESTIONS_MAX = 64;

/** And their texts together. Bytes. */
export const STATEMENT_QUESTION_BYTES_MAX = 64 * 1024;

/** How much text the control plane is asked about in a second, on the average; a byte takes PostgreSQL's parser 1 us. Bytes. */
export const STATEMENT_QUESTION_BYTES_PER_S = 256 * 1024;

/** A longer text is not judged unless one of its shape has been: it goes to the primary. Bytes. */
export const JUDGED_TEXT_BYTES_MAX = 64 * 1024;

/** A longer text is not even searched for its shape. Bytes. */
export const SHAPE_BYTES_MAX = 1024 * 1024;

/** Settings of search_path that are told apart in one database; beyond that all are taken for new. */
export const SEARCH_PATHS_MAX = 10_000;

/** The shortest time between two looks at a database's catalogue, in ms. */
export const CATALOGUE_MS_MIN = 1000;

/** How much longer than the last look had taken, at least. */
export const CATALOGUE_REST_FACTOR = 10;

/** The longest time between two looks at it while changes are suspected all the time, and there are none; in ms. */
export const CATALOGUE_PATIENCE_MS_MAX = 30_000;

/** The time between two looks at it while nothing is suspected, in ms. */
export const CATALOGUE_MS_MAX = 300_000;

/** The longest time until a look that has failed is repeated, in ms. */
export const CATALOGUE_RETRY_MS_MAX = 5000;
