/** The schema of an agent's file: its types, checks, defaults and documentation. */
import * as z from 'zod';
import { clusterFields } from './schema/cluster.js';
import { key, optionalSeconds } from './schema/entry.js';
import { booleanWord, duration, listenPlace, name, oneOf, text, wholeNumber } from './value-types.js';

/** What an acknowledged commit is worth; see docs/availability.md. */
export const DURABILITIES = ['durable', 'available', 'asynchronous'] as const;
/** Where the data of a cluster that has never been come from. */
export const BOOTSTRAPS = ['never', 'initdb', 'adopt'] as const;

/** How standbys protect what they receive: libpq's words. */
export const REPLICATION_SSLMODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

const NODE_NAME = 'a name of letters, digits and hyphens, like db1';
/** Names of nodes are application names and slots, too: these have 63 bytes, and no upper case. */
const NODE_NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,39}$/;
const PRIORITY_MAX = 1000;
const QUORUM_MAX = 16;

const postgresqlFields = z.strictObject(
  {
    data: key(
      name('a folder'),
      'folder',
      'The data folder of this node. What the agent keeps about it lies beside it.',
    ),
    bin: key(
      name('a folder').optional(),
      'folder',
      "The folder of PostgreSQL's programs. Without it: those on PATH, or of the system.",
    ),
    port: key(wholeNumber(1, 65_535).prefault(5432), 'whole number', 'Where PostgreSQL listens.'),
    listen: key(text().prefault('*'), 'text', "PostgreSQL's `listen_addresses`. Empty: unix sockets alone."),
    socket_dir: key(
      name('a folder').optional(),
      'folder',
      "The folder of its unix socket. Without it: what PostgreSQL's configuration says.",
    ),
    bootstrap: key(
      oneOf(BOOTSTRAPS).prefault('never'),
      `one of ${BOOTSTRAPS.join(', ')}`,
      'May this node begin a cluster that has never been? `initdb`: yes, with data that are made anew. `adopt`: yes, with the data that are there. `never`: no, it clones. Of one cluster, one node may.',
    ),
    superuser: key(
      name('a user name').prefault('postgres'),
      'text',
      "As whom the agent logs in: over the unix socket, by the kernel's word for who it is, so without a password.",
    ),
    superuser_password_file: key(
      name('a file').optional(),
      'file',
      'The file with the password that initdb gives it. Without it initdb lets in everybody on this machine.',
    ),
    replication_user: key(
      name('a user name').prefault('sluice_replication'),
      'text',
      'As whom standbys log in to the primary. It is made by the first primary.',
    ),
    replication_password_file: key(
      name('a file').optional(),
      'file',
      'The file with its password, the same on all nodes. Without it, standbys of the same machine get in without one, and others not at all. A new password in it is taken over as soon as all nodes have it.',
    ),
    replication_sslmode: key(
      oneOf(REPLICATION_SSLMODES).prefault('prefer'),
      `one of ${REPLICATION_SSLMODES.join(', ')}`,
      "How standbys reach the primary: PostgreSQL's `sslmode`. From `require` on the primary lets `replication_user` in by TLS alone; its certificate is among `settings` (`ssl`, `ssl_cert_file`, `ssl_key_file`). The same on all nodes.",
    ),
    replication_ca_file: key(
      name('a file').optional(),
      'file',
      'Whose certificates primaries have to show (PEM), for `verify-ca` and `verify-full`.',
    ),
    auth_password_file: key(
      name('a file').optional(),
      'file',
      'The file with the password of `auth_user`. With it the primary makes that role and the function `sluice.user_secret(name)`, by which gateways look up who logs in (`auth_query`). The same on all nodes.',
    ),
    auth_user: key(
      name('a user name').prefault('sluice_auth'),
      'text',
      'As whom gateways ask that function. It may do nothing else.',
    ),
    auth_databases: key(
      z.array(name('a database')).prefault(['postgres']),
      'list of texts',
      'The databases in which that function is made. One is enough for gateways with `auth_dbname`.',
    ),
    config_file: key(
      name('a file').optional(),
      'file',
      'The configuration of PostgreSQL. Without it: `postgresql.conf` of the data folder, if it is there.',
    ),
    hba_file: key(
      name('a file').optional(),
      'file',
      'Who may log in, in the form of `pg_hba.conf`. Without it: that of the data folder, if it is there.',
    ),
    client_rules: key(
      z.array(text('a line of pg_hba.conf')).prefault([]),
      'list of texts',
      'Lines that come before those of `hba_file`, like `host all all 10.0.0.0/8 scram-sha-256`.',
    ),
    settings: key(
      z
        .record(
          z.string(),
          z.union([z.string(), z.number(), z.boolean()], { error: 'text, a number, true or false' }),
          {
            error: 'a mapping like { max_connections: 200 }',
          },
        )
        .prefault({}),
      'mapping',
      'Settings of `postgresql.conf`. What the agent has to decide itself (replication, recovery, where it listens) is refused.',
    ),
  },
  { error: 'a mapping like { data: /var/lib/postgresql/17/main }' },
);

const timingFields = z.strictObject(
  {
    renew: optionalSeconds('Between two renewals of the lease. Without it: a fifth of the lease.'),
    renew_retry: optionalSeconds('After one that has failed. Without it: a twentieth of the lease.'),
    fence: optionalSeconds(
      'So long before its lease ends a leader begins to end its PostgreSQL. Without it: a tenth of the lease.',
    ),
    register: optionalSeconds('Between two registrations of a node. Without it: three tenths of the lease.'),
    retry: key(duration().prefault(1), 'duration', 'Before something that has failed is tried again.'),
    grace: key(
      duration().prefault('300ms'),
      'duration',
      'When nobody leads, those are waited for so long who are about to say how far they are.',
    ),
    patience: key(
      duration().prefault(2),
      'duration',
      'When nobody leads, those are waited for so long who would be better, or who are asked for.',
    ),
    drop: key(
      duration().prefault(2),
      'duration',
      'Commits stop waiting for a standby that has not streamed for so long, if others are there (or with `available`).',
    ),
    checkpoint: key(
      duration().prefault(5),
      'duration',
      'How long the checkpoint may take that a primary writes before it hands over, so that it stops sooner. Clients go on meanwhile.',
    ),
    drain: key(
      duration().prefault(1),
      'duration',
      'How long running transactions may take to end in a switchover. Then they are ended.',
    ),
    yield: key(duration().prefault(2), 'duration', 'How long PostgreSQL may take to stop in a switchover.'),
    wedged: key(
      duration().prefault(10),
      'duration',
      'A primary gives way when its own small write has not come back for so long, though it runs. At least 2s.',
    ),
  },
  { error: 'a mapping like { drain: 5s }' },
);

/** The whole of an agent's file. Unknown keys are refused at every level. */
export const agentSchema = z
  .strictObject(
    {
      node: key(
        name(NODE_NAME).regex(NODE_NAME_PATTERN, { error: NODE_NAME }).optional(),
        'text',
        "The node's name, which no other node of the cluster has. Without it: `--node`, or `SLUICE_NODE` of the environment.",
      ),
      address: key(
        name('a host name or an address').optional(),
        'text',
        'Where other nodes and gateways reach this machine: a name, an address, or the folder of a unix socket. Without it: `--address`, or `SLUICE_ADDRESS` of the environment.',
      ),
      cluster: clusterFields,
      durability: key(
        oneOf(DURABILITIES).prefault('durable'),
        `one of ${DURABILITIES.join(', ')}`,
        'What an acknowledged commit is worth; see [availability.md](availability.md). The same on all nodes.',
      ),
      quorum: key(
        wholeNumber(1, QUORUM_MAX).prefault(1),
        'whole number',
        'How many standbys have an acknowledged commit. Has no meaning with `asynchronous`.',
      ),
      priority: key(
        wholeNumber(1, PRIORITY_MAX).prefault(1),
        'whole number',
        'Among nodes that have everything, the one with the highest leads.',
      ),
      nofailover: key(
        booleanWord().prefault(false),
        'boolean',
        'This node never leads, and commits do not wait for it.',
      ),
      replicate_from: key(
        name(NODE_NAME).regex(NODE_NAME_PATTERN, { error: NODE_NAME }).optional(),
        'text',
        'The standby that this node receives from while that one follows the primary; otherwise, and without it, from the primary. Commits do not wait for a node that receives from a standby.',
      ),
      postgresql: postgresqlFields,
      timing: timingFields.prefault({}),
      on_event: key(
        z.array(text('a word of a command')).prefault([]),
        'list of texts',
        'A command with its arguments that is told of each event: what happened stands in its environment (`SLUICE_EVENT`, `SLUICE_NODE`, `SLUICE_CLUSTER`, `SLUICE_TERM`) and as JSON on its standard input. Nothing waits for it.',
      ),
      on_event_timeout: key(
        duration().prefault(10),
        'duration',
        'How long that command may run before it is ended.',
      ),
      label_pod: key(
        booleanWord().prefault(false),
        'boolean',
        'In Kubernetes: write into the label `sluice/role` of the own pod (`POD_NAME` of the environment, else the node) whether it is `primary` or `replica`. See [kubernetes.md](kubernetes.md).',
      ),
      http_listen: key(
        listenPlace().prefault(''),
        'HOST:PORT',
        'Where the agent answers HTTP: health checks and metrics for everybody, changes with a token. Empty: nowhere.',
      ),
      http_tls_cert_file: key(
        name('a file').optional(),
        'file',
        'With it HTTP is answered by TLS alone: the certificate (PEM), which is read again when the file changes.',
      ),
      http_tls_key_file: key(name('a file').optional(), 'file', 'The key of `http_tls_cert_file` (PEM).'),
      http_tls_ca_file: key(
        name('a file').optional(),
        'file',
        "Whose certificates commands believe that speak with agents by HTTP (PEM). Without it: the system's authorities.",
      ),
      http_token_file: key(
        name('a file').optional(),
        'file',
        'A file with the token (at least 16 characters) that changes by HTTP ask for. Without it they are refused.',
      ),
    },
    { error: 'a mapping of settings, like node: db1' },
  )
  .meta({ title: "Sluice agent's configuration" });

/** An agent's file, checked key by key: **durations are in ms**. */
export type AgentValues = z.output<typeof agentSchema>;
