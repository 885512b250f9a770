/** Which server connections there are, and who gets them. */
import { commaList, localSocketChoice, oneOf, text } from '../value-types.js';
import { count, NO_LIMIT, OURS, onOff, seconds, setting } from './setting.js';

/** The pooling modes, as in PgBouncer. */
export const POOL_MODES = ['session', 'transaction', 'statement'] as const;
/** What becomes of a session where server connections are shared. */
export const SESSION_STATES = ['transparent', 'strict', 'classic'] as const;
/** What a client meets whose session keeps a server connection. */
export const ON_PIN = ['allow', 'notice', 'refuse'] as const;
/** Largest pool; a size of 0 stands for it. */
export const POOL_SIZE_MAX = 100_000;

const POOLING = 'Pooling';
const CHECKS = 'Server connections';
const SERVER_CONNECTIONS = 'server connections';
const CLIENT_CONNECTIONS = 'client connections';
const COUNT_MAX = 10_000_000;

export const poolingSettings = {
  pool_mode: setting(oneOf(POOL_MODES), 'transaction', {
    group: POOLING,
    type: `one of ${POOL_MODES.join(', ')}`,
    description:
      'When a server connection goes back to its pool: when the client leaves (`session`), when its transaction ends (`transaction`), or after each statement (`statement`, which refuses transactions of several statements).',
    pgbouncer: 'its default is `session`.',
  }),
  session_state: setting(oneOf(SESSION_STATES), 'transparent', {
    group: POOLING,
    type: `one of ${SESSION_STATES.join(', ')}`,
    description:
      'What becomes of a session when its server connection goes to others, in transaction and statement mode. `transparent`: settings follow the client to its next server connection, and what cannot follow (temporary tables, advisory locks, `WITH HOLD` cursors, ...) keeps its server connection as long as it is there (`SHOW PINS`). `strict`: a statement that would leave something in the session is refused with SQLSTATE 0A000, which names it and says what to use instead ([sessions.md](sessions.md#strict)). `classic`: all of it stays on the server connection, for whoever gets that next, as with PgBouncer. In session mode a server connection whose session has made its temporary schema or loaded a library, which `DISCARD ALL` does not take back, is closed when its client leaves, but with `classic`.',
    pgbouncer: `${OURS} A \`pgbouncer.ini\` without it means \`classic\`.`,
  }),
  on_pin: setting(oneOf(ON_PIN), 'allow', {
    group: POOLING,
    type: `one of ${ON_PIN.join(', ')}`,
    description:
      'What a client meets whose session has to keep its server connection behind a transaction (not with `session_state = classic`): nothing (`allow`; with `session_state = strict` a notice), a notice with the reason (`notice`), or the end of its connection with SQLSTATE 0A000 (`refuse`).',
    pgbouncer: OURS,
  }),
  default_pool_size: count(POOLING, 20, [0, POOL_SIZE_MAX], {
    unit: SERVER_CONNECTIONS,
    description: `How many server connections a pool (one database and one user) may hold. ${NO_LIMIT}`,
  }),
  min_pool_size: count(POOLING, 0, [0, POOL_SIZE_MAX], {
    unit: SERVER_CONNECTIONS,
    description:
      'A pool in use, and the pool of a database with a forced `user`, is kept at no fewer server connections than this.',
  }),
  reserve_pool_size: count(POOLING, 0, [0, POOL_SIZE_MAX], {
    unit: SERVER_CONNECTIONS,
    description:
      'How many more a pool may open when a client has waited for `reserve_pool_timeout`. 0: none.',
  }),
  reserve_pool_timeout: seconds(POOLING, 5, {
    description:
      'How long a client waits before its pool may open connections of the reserve. 0 switches the reserve off.',
  }),
  max_client_conn: count(POOLING, 10_000, [1, COUNT_MAX], {
    unit: CLIENT_CONNECTIONS,
    description:
      'How many clients may be connected at once. A client over the limit is refused with SQLSTATE 53300. Every client and server connection takes a file descriptor: the limit of the process (`ulimit -n`) has to be higher than the sum.',
    pgbouncer: 'its default is 100.',
  }),
  max_db_connections: count(POOLING, 0, [0, COUNT_MAX], {
    unit: SERVER_CONNECTIONS,
    description: `How many server connections all pools of one database may hold together. ${NO_LIMIT}`,
  }),
  max_db_client_connections: count(POOLING, 0, [0, COUNT_MAX], {
    unit: CLIENT_CONNECTIONS,
    description: `How many clients may be connected to one database. ${NO_LIMIT}`,
  }),
  max_user_connections: count(POOLING, 0, [0, COUNT_MAX], {
    unit: SERVER_CONNECTIONS,
    description: `How many server connections all pools of one user may hold together. ${NO_LIMIT}`,
  }),
  max_user_client_connections: count(POOLING, 0, [0, COUNT_MAX], {
    unit: CLIENT_CONNECTIONS,
    description: `How many clients may be connected as one user. ${NO_LIMIT}`,
  }),
  max_prepared_statements: count(POOLING, 200, [0, 1_000_000], {
    unit: 'statements of one server connection',
    description:
      'How many prepared statements of its clients a server connection keeps in transaction and statement mode; the one unused for longest goes first. 0 switches the tracking of named statements off.',
  }),
};

export const serverConnectionSettings = {
  server_reset_query: setting(text(), 'DISCARD ALL', {
    group: CHECKS,
    type: 'SQL',
    description:
      'What makes a server connection clean when a client of a `session` pool leaves. Empty: nothing is run.',
  }),
  server_reset_query_always: onOff(CHECKS, false, {
    description: 'Run it in the other pooling modes too, whenever a server connection is released.',
  }),
  server_check_query: setting(text(), '<empty>', {
    group: CHECKS,
    type: 'SQL',
    description:
      'Run on a server connection that has rested for longer than `server_check_delay`, before a client gets it. `<empty>` means an empty query; no text at all means no check.',
  }),
  server_check_delay: seconds(CHECKS, 30, {
    description:
      'How long a released server connection is used again without a check. 0: it is always checked.',
  }),
  server_round_robin: onOff(CHECKS, false, {
    description:
      'Use the free server connection that has rested longest, not the one that was used last. Evens out the load where several servers stand behind one address.',
  }),
  server_fast_close: onOff(CHECKS, false, {
    description:
      'In `session` mode, a reload or RECONNECT that makes server connections obsolete closes them at the end of the transaction, with their clients, and does not wait for the clients to leave.',
  }),
  server_unix_socket: setting(localSocketChoice(), 'auto', {
    group: CHECKS,
    type: 'auto, off or a folder',
    description:
      "Reach a server whose `host` is a loopback address by its unix socket, which takes less CPU time than TCP. `auto` looks for the socket in the usual folders, a path in this folder alone. It is used only where it is proved to be the server's, for users and databases that TCP has let in, and where it asks for the same kind of password; otherwise TCP serves, as with `off`. Only on Linux, with the drivers `uring` and `epoll`, and without `server_tls_sslmode` `require` or stricter. Clients then have no `inet_client_addr()`.",
    pgbouncer: 'it has no such setting; for a `pgbouncer.ini` the default is `off`.',
  }),
  track_extra_parameters: setting(commaList('parameter names'), 'IntervalStyle', {
    group: CHECKS,
    type: 'list of parameter names',
    description: 'Further parameters that follow the client from one server connection to another.',
    instead:
      'every parameter that the servers report follows the client; server connections are opened with all other startup parameters of their clients',
    reload: false,
  }),
  application_name_add_host: onOff(CHECKS, false, {
    description: "Add the client's address and port to the `application_name` with which it logs in.",
  }),
  dns_max_ttl: seconds(CHECKS, 15, {
    description:
      "How long the addresses of a server's host name are taken as known. Then they are looked up again; server connections to one that is gone are replaced.",
  }),
  dns_nxdomain_ttl: seconds(CHECKS, 15, {
    description: 'How long a host name that does not resolve is taken as such.',
  }),
  dns_zone_check_period: seconds(CHECKS, 0, {
    description: 'How often the serial number of a DNS zone is asked for.',
    instead: 'a host name is looked up again after dns_max_ttl',
  }),
  resolv_conf: setting(text('a file'), '', {
    group: CHECKS,
    type: 'text',
    description: 'A file to be used instead of `/etc/resolv.conf`.',
    instead: "names are resolved by the system, with the system's own configuration",
    reload: false,
  }),
};
