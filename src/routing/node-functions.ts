/**
 * What PostgreSQL's own functions are on a standby, where that isn't what their volatility says. The rest of pg_catalog is
 * judged by `src/sql/builtin-functions.ts`: a function that is stable or immutable in all its forms gives on a standby what
 * it gives on the primary, if both have the same data.
 */
import { REVIEWED_VOLATILE_FUNCTIONS, STEADY_FUNCTIONS, UNSEEN_FUNCTIONS } from '../sql/builtin-functions.js';

/**
 * Volatile functions that write nothing and ask the server nothing of its own: clocks, randomness, and what only looks at
 * stored data. A seed for `random()` is state of the session, which is somebody else's concern.
 */
export const HARMLESS_VOLATILE_FUNCTIONS = words(`
array_sample array_shuffle clock_timestamp current_query gen_random_uuid lo_get pg_partition_ancestors pg_partition_tree
pg_sleep pg_sleep_for pg_sleep_until random random_normal timeofday uuidv4 uuidv7
`);

/** Functions that are stable or immutable, and yet say something else on every server, with what they tell of. */
const NODE_DEPENDENT: readonly (readonly [tellsOf: string, names: string])[] = [
  [
    'this transaction, which has no identifier on a standby',
    `pg_current_snapshot pg_current_xact_id pg_current_xact_id_if_assigned txid_current txid_current_if_assigned
     txid_current_snapshot`,
  ],
  [
    'the write-ahead log, and is refused on a standby',
    'pg_replication_origin_oid pg_walfile_name pg_walfile_name_offset',
  ],
  [
    'the server and its connection',
    `inet_client_addr inet_client_port inet_server_addr inet_server_port pg_backend_pid pg_conf_load_time
     pg_get_replication_slots pg_postmaster_start_time version`,
  ],
  ["the session's own objects", 'pg_cursor pg_listening_channels pg_prepared_statement'],
  [
    "the server's settings and files",
    `icu_unicode_version pg_available_extension_versions pg_available_extensions pg_config pg_extension_update_paths
     pg_numa_available pg_relation_filepath pg_show_all_settings pg_tablespace_databases pg_tablespace_location
     pg_timezone_abbrevs pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone pg_timezone_names unicode_version`,
  ],
];

/** Functions of pg_catalog whose names begin so tell of the server's own statistics. */
const STATISTICS = 'pg_stat_';

/** Volatile functions that change something or tell of the server or session, beside those that are reviewed in src/sql. */
const OTHER_VOLATILE_FUNCTIONS = `
currval lastval nextval pg_notify set_config setval
pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
pg_try_advisory_lock pg_try_advisory_lock_shared
cursor_to_xml cursor_to_xmlschema query_to_xml query_to_xml_and_xmlschema query_to_xmlschema ts_rewrite ts_stat`;

const steady = new Set(words(STEADY_FUNCTIONS));
const volatile = new Set(
  words(`${REVIEWED_VOLATILE_FUNCTIONS} ${UNSEEN_FUNCTIONS} ${OTHER_VOLATILE_FUNCTIONS}`),
);
const harmless = new Set(HARMLESS_VOLATILE_FUNCTIONS);
const tellings = new Map(
  NODE_DEPENDENT.flatMap(([tellsOf, names]) => words(names).map((name) => [name, tellsOf])),
);

/** The names of the functions that say something else on every server. */
export const NODE_DEPENDENT_FUNCTIONS: readonly string[] = [
  ...tellings.keys(),
  ...[...steady].filter((name) => name.startsWith(STATISTICS)),
];

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

/**
 * Why a call of pg_catalog's functions with this name must not run on a standby: in words behind the call's name, null if it
 * may; undefined if there is none, or none that is known.
 */
export function builtinFunctionTrouble(name: string): string | null | undefined {
  const tellsOf = tellings.get(name);
  if (tellsOf !== undefined) return `which tells of ${tellsOf}`;
  if (harmless.has(name)) return null;
  if (volatile.has(name)) return 'which is volatile';
  if (!steady.has(name)) return undefined;
  return name.startsWith(STATISTICS) ? "which tells of the server's own statistics" : null;
}
