/** What a `pgbouncer.ini` leaves out is as PgBouncer 1.25 has it (its manual, "pgbouncer.ini"): what differs from ours. */
import type { ConfigInput } from './schema.js';

export const PGBOUNCER_DEFAULTS = Object.freeze({
  listen_addr: '',
  listen_backlog: 128,
  unix_socket_dir: '/tmp',
  pool_mode: 'session',
  session_state: 'classic',
  max_client_conn: 100,
  server_login_retry: 15,
  server_unix_socket: 'off',
  auth_type: 'md5',
  auth_query_search_path: '',
  auth_query_cache_time: 0,
  auth_query_tells_unknown: true,
  log_connections: true,
  log_disconnections: true,
  log_stats: true,
}) satisfies ConfigInput;
