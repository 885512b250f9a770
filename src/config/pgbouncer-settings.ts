/**
 * PgBouncer 1.25's settings that have no counterpart here (its manual, "Configuration"). Naming one gets
 * a clear answer instead of a suggestion of something else with a similar name.
 */
export const UNSUPPORTED_PGBOUNCER_SETTINGS: ReadonlySet<string> = new Set(
  `admin_users application_name_add_host auth_dbname auth_hba_file auth_ident_file auth_ldap_options auth_query
  auth_user autodb_idle_timeout client_idle_timeout client_tls_ca_file client_tls_cert_file client_tls_ciphers
  client_tls_dheparams client_tls_ecdhcurve client_tls_key_file client_tls_protocols client_tls_sslmode
  client_tls13_ciphers conffile disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period
  idle_transaction_timeout job_name listen_backlog log_stats logfile max_db_client_connections max_db_connections
  max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf pool_idle_timeout
  query_timeout query_wait_notify reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt scram_iterations
  server_check_delay server_check_query server_fast_close server_reset_query_always server_round_robin
  server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols
  server_tls_sslmode server_tls13_ciphers service_name so_reuseport stats_period stats_users suspend_timeout
  syslog syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl
  tcp_socket_buffer tcp_user_timeout track_extra_parameters transaction_timeout unix_socket_group user verbose`.split(
    /\s+/,
  ),
);
