/** How long things may take. */
import { NO_LIMIT, OURS, onOff, seconds } from './setting.js';

const TIMEOUTS = 'Timeouts';

export const timeoutSettings = {
  query_wait_timeout: seconds(TIMEOUTS, 120, {
    description: `How long a client may wait for a server connection before it is disconnected. ${NO_LIMIT}`,
  }),
  query_wait_notify: seconds(TIMEOUTS, 5, {
    description: 'After this time a waiting client is told by a notice that it waits. 0: never.',
  }),
  query_wait_fail_fast: onOff(TIMEOUTS, false, {
    description:
      'Refuse a client at once, with SQLSTATE 53300, when no server connection is free and none can be opened, instead of letting it wait.',
    pgbouncer: OURS,
  }),
  failover_timeout: seconds(TIMEOUTS, 30, {
    description: `How long a request waits for a primary, of a database with \`nodes\` or a \`cluster\`, while there is none; then it gets an error with SQLSTATE 57P03, and its client may try again. ${NO_LIMIT}`,
    pgbouncer: OURS,
  }),
  query_timeout: seconds(TIMEOUTS, 0, {
    description: `How long a query may run before its client is disconnected and the query is cancelled. ${NO_LIMIT}`,
  }),
  transaction_timeout: seconds(TIMEOUTS, 0, {
    description: `How long a transaction may take before its client is disconnected. ${NO_LIMIT}`,
  }),
  idle_transaction_timeout: seconds(TIMEOUTS, 0, {
    description: `How long a client may rest within a transaction before it is disconnected. ${NO_LIMIT}`,
  }),
  client_idle_timeout: seconds(TIMEOUTS, 0, {
    description: `How long a client may rest between two transactions before it is disconnected. ${NO_LIMIT}`,
  }),
  client_login_timeout: seconds(TIMEOUTS, 60, {
    description: `How long a client may take to log in. ${NO_LIMIT}`,
  }),
  server_idle_timeout: seconds(TIMEOUTS, 600, {
    description: `How long a server connection may stay unused before it is closed. ${NO_LIMIT}`,
  }),
  server_lifetime: seconds(TIMEOUTS, 3600, {
    description: `How old a server connection may get; an older one is closed when it is next unused. ${NO_LIMIT}`,
    pgbouncer: '0 means that a server connection is used once; in a `pgbouncer.ini` it means that here, too.',
  }),
  server_connect_timeout: seconds(TIMEOUTS, 15, {
    description: `How long connecting to a server and logging in may take. ${NO_LIMIT}`,
  }),
  server_login_retry: seconds(TIMEOUTS, 1, {
    description:
      'How long no new connection to a server is tried after one that failed. Clients wait meanwhile.',
    pgbouncer: 'its default is 15: after a restart of the server its clients wait up to that long.',
  }),
  cancel_wait_timeout: seconds(TIMEOUTS, 10, {
    description: `How long a client's cancel request may wait to be passed on before it is dropped. ${NO_LIMIT}`,
  }),
  autodb_idle_timeout: seconds(TIMEOUTS, 3600, {
    description: `How long a database that was made from \`*\` is kept while nobody uses it. ${NO_LIMIT}`,
  }),
  pool_idle_timeout: seconds(TIMEOUTS, 0, {
    description: 'How long a pool without clients and server connections is kept.',
    instead: 'a pool that has neither clients nor server connections is forgotten at once',
  }),
  suspend_timeout: seconds(TIMEOUTS, 10, {
    description: 'How long SUSPEND waits for what is under way before it drops the connection.',
  }),
};
