/** An entry of `databases`: a mapping or a URL. */
import * as z from 'zod';
import { parseServerUrl, UrlError } from '../server-url.js';
import { booleanWord, localSocketChoice, name, oneOf, portList, text, wholeNumber } from '../value-types.js';
import { key, optionalCount, optionalSeconds, otherwise } from './entry.js';
import { nodesFrom } from './nodes-from.js';
import { ON_PIN, POOL_MODES, POOL_SIZE_MAX, SESSION_STATES } from './pooling.js';
import { CONSISTENCIES, nodes, TARGETS } from './routing.js';

/** How a host list is used, as in PgBouncer. */
export const HOST_BALANCING = ['round-robin', 'disable'] as const;

/** Where a server is that has no `host` and `port`. */
export const DEFAULT_PLACE = Object.freeze({ host: '127.0.0.1', port: 5432 });

const COUNT_MAX = 10_000_000;

/** The name under which clients reach the console. */
export const CONSOLE_DATABASE = 'pgbouncer';

export const databaseFields = z.strictObject(
  {
    host: key(
      name('a host name, an address, or the folder of a unix socket').prefault(DEFAULT_PLACE.host),
      'text',
      'The server: a name, an address, or the folder of a unix socket if it begins with `/`. Several, with commas between, hold the same database.',
    ),
    port: key(
      z
        .union([wholeNumber(1, 65535), portList()], { error: 'a whole number from 1 to 65535' })
        .prefault(DEFAULT_PLACE.port),
      'whole number',
      'Its port, also for a unix socket. One for all hosts, or as many as there are hosts, with commas between.',
    ),
    nodes: key(
      nodes,
      'list of nodes',
      'In place of `host` and `port`: a primary and its standbys. Who is which is found out. Writes go to the primary, reads to the standbys as `consistency` allows. Each is `HOST:PORT`, or a mapping with `host`, `port` (5432), `name`, `weight` (1) and `zone`.',
    ),
    cluster: key(
      name("a cluster's name").optional(),
      'text',
      'The name of the `cluster` whose store says who the primary is. In place of `host` and `port`: its members are the nodes. `nodes` beside it give weights and zones, by name or place.',
    ),
    nodes_from: key(
      nodesFrom,
      'one of dns, kubernetes, patroni, repmgr',
      'In place of `host` and `port`: who says which nodes there are, as a mapping (see [nodes_from](#nodes_from)) or `KIND:...`. They come and go without a reload; who the primary is they say themselves. `nodes` beside it are those to begin with, and give weights and zones, by name or place.',
    ),
    target_session_attrs: key(
      oneOf(TARGETS).optional(),
      `one of ${TARGETS.join(', ')}`,
      'Of a database with `nodes`, `nodes_from` or a `cluster`: `primary`, the default, is where clients begin, and their reads are routed; with `standby` all that they send goes to a standby, and a write is refused; `prefer-standby` is the same, and the primary where no standby can serve.',
    ),
    consistency: key(
      oneOf(CONSISTENCIES).optional(),
      `one of ${CONSISTENCIES.join(', ')}`,
      otherwise('consistency'),
    ),
    dbname: key(
      name('a database name').optional(),
      'text',
      "The database's name on the server. Without it: the name that the client asked for.",
    ),
    user: key(
      name('a user name').optional(),
      'text',
      "Log in to the server as this user, whoever the client is. Without it: the client's user.",
    ),
    password: key(
      text('a password').optional(),
      'text',
      'The password of `user`, in clear text. Without it: what `users` and `auth_file` know of `user`.',
    ),
    pool_size: optionalCount(
      POOL_SIZE_MAX,
      `Server connections of each pool of this database; 0: no limit. ${otherwise('default_pool_size')}`,
    ),
    min_pool_size: optionalCount(POOL_SIZE_MAX, otherwise('min_pool_size')),
    reserve_pool_size: optionalCount(POOL_SIZE_MAX, otherwise('reserve_pool_size')),
    pool_mode: key(
      oneOf(POOL_MODES).optional(),
      `one of ${POOL_MODES.join(', ')}`,
      'Without it: `pool_mode` of the whole gateway.',
    ),
    session_state: key(
      oneOf(SESSION_STATES).optional(),
      `one of ${SESSION_STATES.join(', ')}`,
      otherwise('session_state'),
    ),
    on_pin: key(oneOf(ON_PIN).optional(), `one of ${ON_PIN.join(', ')}`, otherwise('on_pin')),
    max_db_connections: optionalCount(COUNT_MAX, otherwise('max_db_connections')),
    max_db_client_connections: optionalCount(COUNT_MAX, otherwise('max_db_client_connections')),
    server_lifetime: optionalSeconds(otherwise('server_lifetime')),
    query_wait_timeout: optionalSeconds(otherwise('query_wait_timeout')),
    query_wait_fail_fast: key(booleanWord().optional(), 'boolean', otherwise('query_wait_fail_fast')),
    load_balance_hosts: key(
      oneOf(HOST_BALANCING).optional(),
      `one of ${HOST_BALANCING.join(', ')}`,
      'Of several hosts, a new server connection goes to the next one (`round-robin`, the default), or stays with one until it fails (`disable`).',
    ),
    server_unix_socket: key(
      localSocketChoice().optional(),
      'auto, off or a folder',
      otherwise('server_unix_socket'),
    ),
    connect_query: key(
      text('SQL').optional(),
      'SQL',
      'Run on every new server connection before it serves a client.',
    ),
    client_encoding: key(
      name('an encoding').optional(),
      'text',
      'The encoding that server connections begin with.',
    ),
    datestyle: key(
      name('a date style').optional(),
      'text',
      'The `DateStyle` that server connections begin with.',
    ),
    timezone: key(
      name('a time zone').optional(),
      'text',
      'The time zone that server connections begin with.',
    ),
    application_name: key(
      name('a name').optional(),
      'text',
      'The `application_name` that server connections begin with.',
    ),
    auth_user: key(name('a user name').optional(), 'text', otherwise('auth_user')),
    auth_query: key(name('SQL').optional(), 'SQL', otherwise('auth_query')),
    auth_dbname: key(name('a database name').optional(), 'text', otherwise('auth_dbname')),
  },
  { error: 'a mapping like { host: 127.0.0.1, port: 5432, dbname: app }, or a URL' },
);

const databaseUrl = z
  .string({ error: 'a URL like postgres://user:password@host:5432/database' })
  .transform((url, context): z.input<typeof databaseFields> => {
    try {
      // Its texts are checked by the pipe below.
      return parseServerUrl(url) as z.input<typeof databaseFields>;
    } catch (error) {
      if (!(error instanceof UrlError)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: url, params: { sentence: true } });
      return z.NEVER;
    }
  })
  .pipe(databaseFields)
  .meta({ description: 'postgres://user:password@host:port/database, percent-encoded as usual' });

export const databases = z
  .record(z.string(), z.union([databaseFields, databaseUrl], { error: 'a mapping or a URL' }), {
    error: 'a mapping of database names to servers, like { app: { host: 127.0.0.1 } }',
  })
  .prefault({})
  .meta({ description: 'The databases by the names that clients ask for; `*` is any other name.' });

/** One entry of `databases`. */
export type DatabaseValues = z.output<typeof databaseFields>;
