/**
 * The schema of the configuration: the single source of its types, its checks, its defaults, the JSON Schema and
 * docs/configuration.md. Settings bear PgBouncer's names and units where PgBouncer has them.
 */
import * as z from 'zod';
import { parseServerUrl, UrlError } from './server-url.js';
import { booleanWord, commaList, duration, fileMode, name, oneOf, text, wholeNumber } from './value-types.js';

/** What the documentation says about a setting beside its name, default and description. */
interface SettingNotes {
  readonly group: string;
  readonly type: string;
  readonly description: string;
  readonly unit?: string;
  /** How it differs from PgBouncer's setting of that name; missing: it doesn't. */
  readonly pgbouncer?: string;
  /** False: a reload doesn't change it. */
  readonly reload?: false;
}

/** Gives a value type its default (in the form that a file would have) and its notes. */
function setting<Type extends z.ZodType>(type: Type, fallback: z.input<Type>, notes: SettingNotes) {
  return type.prefault(fallback as never).meta({
    description: notes.description,
    'x-group': notes.group,
    'x-type': notes.type,
    ...(notes.unit === undefined ? {} : { 'x-unit': notes.unit }),
    ...(notes.pgbouncer === undefined ? {} : { 'x-pgbouncer': notes.pgbouncer }),
    'x-reload': notes.reload ?? true,
  });
}

const OURS = 'it has no such setting.';
const NO_LIMIT = '0: no limit.';

function seconds(group: string, fallback: number, description: string, pgbouncer?: string) {
  const notes = {
    group,
    type: 'duration',
    unit: 'seconds',
    description,
  };
  return setting(duration(), fallback, pgbouncer === undefined ? notes : { ...notes, pgbouncer });
}

function onOff(group: string, fallback: boolean, description: string, pgbouncer?: string) {
  const notes = { group, type: 'boolean', description };
  return setting(booleanWord(), fallback, pgbouncer === undefined ? notes : { ...notes, pgbouncer });
}

function count(
  group: string,
  fallback: number,
  [min, max]: [number, number],
  notes: Omit<SettingNotes, 'group' | 'type'>,
) {
  return setting(wholeNumber(min, max), fallback, {
    group,
    type: `whole number from ${min} to ${max}`,
    ...notes,
  });
}

/** The pooling modes, as in PgBouncer. */
export const POOL_MODES = ['session', 'transaction', 'statement'] as const;
/** The ways in which clients prove who they are. */
export const AUTH_TYPES = ['trust', 'plain', 'md5', 'scram-sha-256'] as const;
/** The ways of talking to the kernel. */
export const IO_DRIVERS = ['auto', 'uring', 'epoll', 'node'] as const;

const LISTENING = 'Listening';
const POOLING = 'Pooling';
const TIMEOUTS = 'Timeouts';
const AUTHENTICATION = 'Authentication';
const PROTOCOL = 'Protocol';
const LOGGING = 'Logging';
const ENGINE = 'Engine';

const listeningSettings = {
  listen_addr: setting(commaList('addresses'), '127.0.0.1', {
    group: LISTENING,
    type: 'list of addresses',
    description:
      'Addresses on which clients are accepted by TCP, with commas between. `*` (quoted in YAML) means all IPv4 addresses of the machine, `::` all IPv6 addresses; empty means no TCP.',
    pgbouncer: 'it listens on no TCP address unless told to, and its `*` includes IPv6.',
    reload: false,
  }),
  listen_port: count(LISTENING, 6432, [1, 65535], {
    description: 'The TCP port, and the number in the name of the unix socket.',
    reload: false,
  }),
  unix_socket_dir: setting(text('a folder'), '', {
    group: LISTENING,
    type: 'folder',
    description:
      'The folder in which a unix socket named `.s.PGSQL.<listen_port>` is made. Empty means no unix socket.',
    pgbouncer: 'it makes one in `/tmp` unless told not to.',
    reload: false,
  }),
  unix_socket_mode: setting(fileMode(), '0777', {
    group: LISTENING,
    type: 'permission bits, octal',
    description: 'Who may connect to the unix socket.',
    reload: false,
  }),
};

const poolingSettings = {
  pool_mode: setting(oneOf(POOL_MODES), 'transaction', {
    group: POOLING,
    type: `one of ${POOL_MODES.join(', ')}`,
    description:
      'When a server connection goes back to its pool: when the client leaves (`session`), when its transaction ends (`transaction`), or after each statement (`statement`, which refuses transactions of several statements).',
    pgbouncer: 'its default is `session`.',
  }),
  default_pool_size: count(POOLING, 20, [1, 100_000], {
    unit: 'server connections',
    description: 'How many server connections a pool (one database and one user) may hold.',
  }),
  max_client_conn: count(POOLING, 10_000, [1, 10_000_000], {
    unit: 'client connections',
    description:
      'How many clients may be connected at once. A client over the limit is refused with SQLSTATE 53300. Every client and server connection takes a file descriptor: the limit of the process (`ulimit -n`) has to be higher than the sum.',
    pgbouncer: 'its default is 100.',
  }),
  max_prepared_statements: count(POOLING, 200, [0, 1_000_000], {
    unit: 'statements of one server connection',
    description:
      'How many prepared statements of its clients a server connection keeps in transaction and statement mode; the one unused for longest goes first. 0 switches the tracking of named statements off.',
  }),
  server_reset_query: setting(text(), 'DISCARD ALL', {
    group: POOLING,
    type: 'SQL',
    description:
      'What makes a server connection clean when a client of a `session` pool leaves. Empty: nothing is run.',
  }),
};

const timeoutSettings = {
  query_wait_timeout: seconds(
    TIMEOUTS,
    120,
    `How long a client may wait for a server connection before it is disconnected. ${NO_LIMIT}`,
  ),
  client_login_timeout: seconds(TIMEOUTS, 60, `How long a client may take to log in. ${NO_LIMIT}`),
  server_idle_timeout: seconds(
    TIMEOUTS,
    600,
    `How long a server connection may stay unused before it is closed. ${NO_LIMIT}`,
  ),
  server_lifetime: seconds(
    TIMEOUTS,
    3600,
    `How old a server connection may get; an older one is closed when it is next unused. ${NO_LIMIT}`,
  ),
  server_connect_timeout: seconds(
    TIMEOUTS,
    15,
    `How long connecting to a server and logging in may take. ${NO_LIMIT}`,
  ),
  server_login_retry: seconds(
    TIMEOUTS,
    1,
    'How long no new connection to a server is tried after one that failed. Clients wait meanwhile.',
    'its default is 15: after a restart of the server its clients wait up to that long.',
  ),
  cancel_wait_timeout: seconds(
    TIMEOUTS,
    10,
    `How long a client's cancel request may wait to be passed on before it is dropped. ${NO_LIMIT}`,
  ),
};

const authenticationSettings = {
  auth_type: setting(oneOf(AUTH_TYPES), 'scram-sha-256', {
    group: AUTHENTICATION,
    type: `one of ${AUTH_TYPES.join(', ')}`,
    description:
      'How clients prove who they are: not at all (`trust`), by a password in clear text (`plain`), by an MD5 hash (`md5`; a user of whom only a SCRAM verifier is known is asked by SCRAM) or by SCRAM (`scram-sha-256`).',
    pgbouncer: 'its default is `md5`; its types `cert`, `hba`, `pam`, `ldap` and `any` are not supported.',
  }),
  auth_file: setting(text('a file'), '', {
    group: AUTHENTICATION,
    type: 'file',
    description:
      'A file of users, one line each: `"user" "secret"`, where the secret is a password, `md5` and 32 hex digits, or a `SCRAM-SHA-256$...` verifier as `pg_authid` has it; a `"` is doubled. A relative path counts from the folder of the configuration file. A user that stands under `users` too is taken from there.',
    pgbouncer: 'the same syntax; a line that cannot be read is an error here.',
  }),
};

const protocolSettings = {
  max_packet_size: count(PROTOCOL, 2_147_483_647, [10_000, 2_147_483_647], {
    unit: 'bytes',
    description: 'The longest message that is passed on. A longer one closes its connection.',
  }),
  ignore_startup_parameters: setting(commaList('parameter names'), '', {
    group: PROTOCOL,
    type: 'list of parameter names',
    description:
      'Startup parameters of clients that are accepted and not passed on to the server, with commas between.',
  }),
};

const loggingSettings = {
  log_connections: onOff(LOGGING, false, 'Log every client that logs in.', 'its default is on.'),
  log_disconnections: onOff(LOGGING, false, 'Log every client that leaves.', 'its default is on.'),
  log_pooler_errors: onOff(LOGGING, true, 'Log the errors that are sent to clients by the pooler itself.'),
};

const engineSettings = {
  io: setting(oneOf(IO_DRIVERS), 'auto', {
    group: ENGINE,
    type: `one of ${IO_DRIVERS.join(', ')}`,
    description:
      "How to talk to the kernel: io_uring (`uring`, Linux 6.1 and newer), `epoll` (Linux), or Node's own sockets (`node`, everywhere, at two to three times the CPU time). `auto` takes the first of these that works here; any other choice that doesn't work is an error.",
    pgbouncer: OURS,
    reload: false,
  }),
};

const HOST_NOTE = 'The server: a name, an address, or the folder of a unix socket if it begins with `/`.';

const databaseFields = z.strictObject(
  {
    host: name('a host name, an address, or the folder of a unix socket')
      .prefault('127.0.0.1')
      .meta({ description: HOST_NOTE, 'x-type': 'text' }),
    port: wholeNumber(1, 65535)
      .prefault(5432)
      .meta({ description: 'Its port, also for a unix socket.', 'x-type': 'whole number' }),
    dbname: name('a database name').optional().meta({
      description: "The database's name on the server. Without it: the name that the client asked for.",
      'x-type': 'text',
    }),
    user: name('a user name').optional().meta({
      description: "Log in to the server as this user, whoever the client is. Without it: the client's user.",
      'x-type': 'text',
    }),
    password: text('a password').optional().meta({
      description:
        'The password of `user`, in clear text. Without it: what `users` and `auth_file` know of `user`.',
      'x-type': 'text',
    }),
    pool_size: wholeNumber(1, 100_000).optional().meta({
      description: 'Server connections of each pool of this database. Without it: `default_pool_size`.',
      'x-type': 'whole number',
    }),
    pool_mode: oneOf(POOL_MODES)
      .optional()
      .meta({
        description: 'Without it: `pool_mode` of the whole gateway.',
        'x-type': `one of ${POOL_MODES.join(', ')}`,
      }),
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

const DATABASES_EXPECTED = 'a mapping of database names to servers, like { app: { host: 127.0.0.1 } }';
const USERS_EXPECTED = 'a mapping of user names, like { alice: { password: "..." } }';

const user = z
  .strictObject(
    {
      password: text('a password').optional().meta({
        description:
          'In clear text. Serves every `auth_type`, and logins to servers that ask for a password.',
        'x-type': 'text',
      }),
      verifier: name('md5 and 32 hex digits, or SCRAM-SHA-256$...').optional().meta({
        description:
          "The user's `rolpassword` in `pg_authid`: `SCRAM-SHA-256$...`, or `md5` and 32 hex digits. Serves clients; a SCRAM verifier alone can't log in to a server.",
        'x-type': 'text',
      }),
    },
    { error: 'a mapping with password or verifier' },
  )
  .meta({ description: 'What is known of a user.' });

/** The whole configuration file. Unknown keys are refused at every level. */
export const configSchema = z
  .strictObject(
    {
      ...listeningSettings,
      ...poolingSettings,
      ...timeoutSettings,
      ...authenticationSettings,
      ...protocolSettings,
      ...loggingSettings,
      ...engineSettings,
      databases: z
        .record(z.string(), z.union([databaseFields, databaseUrl], { error: 'a mapping or a URL' }), {
          error: DATABASES_EXPECTED,
        })
        .prefault({})
        .meta({ description: 'The databases by the names that clients ask for; `*` is any other name.' }),
      users: z
        .record(z.string(), user, { error: USERS_EXPECTED })
        .prefault({})
        .meta({ description: 'The users that may log in.' }),
    },
    { error: 'a mapping of settings, like listen_port: 6432' },
  )
  .meta({ title: 'Sluice configuration' });

/** The configuration as a file may spell it. */
export type ConfigInput = z.input<typeof configSchema>;

/** The checked configuration: every setting has a value; **durations are in ms**, lists are arrays. */
export type ConfigValues = z.output<typeof configSchema>;

/** One entry of `databases`. */
export type DatabaseValues = z.output<typeof databaseFields>;

/** One entry of `users`. */
export type UserValues = z.output<typeof user>;

/** The names of all settings, `databases` and `users` among them. */
export const SETTING_NAMES: readonly string[] = Object.freeze(Object.keys(configSchema.shape));
/** The keys of an entry of `databases`. */
export const DATABASE_KEYS: readonly string[] = Object.freeze(Object.keys(databaseFields.shape));
/** The keys of an entry of `users`. */
export const USER_KEYS: readonly string[] = Object.freeze(Object.keys(user.shape));
