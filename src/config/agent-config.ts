/** Reads an agent's file, and says everything that is wrong with it. */
import { readFile } from 'node:fs/promises';
import type { ClusterTiming } from '../cluster/settings.js';
import { type AgentValues, agentSchema } from './agent-schema.js';
import { checkAgainst } from './check.js';
import { type ClusterAccess, readClusterAccess } from './cluster-access.js';
import { ConfigError, type Problem } from './problem.js';
import { Section } from './section.js';
import { explainUnreadable } from './unreadable.js';
import { type ConfigTree, readYaml } from './yaml-source.js';

/** An agent's configuration, complete. Holds secrets. */
export interface AgentConfig {
  /** The file as it was given. */
  readonly file: string;
  readonly node: string;
  readonly address: string;
  readonly cluster: ClusterAccess;
  readonly durability: AgentValues['durability'];
  readonly quorum: number;
  /** 0: never leads. */
  readonly priority: number;
  /** The standby that it receives from while that can be; null: from who leads. */
  readonly replicateFrom: string | null;
  readonly timing: ClusterTiming;
  /** How long a primary's own write may take before it gives way. ms. */
  readonly wedgedMs: number;
  /** Paths are absolute, or relative to the process's folder if the file was given so. */
  readonly postgresql: AgentValues['postgresql'];
  readonly superuserPassword: string | null;
  readonly replicationPassword: string | null;
  /** Of `auth_user`. Null: there is none, and no function. */
  readonly authPassword: string | null;
  readonly onEvent: readonly string[];
  readonly onEventMs: number;
  /** Whether the own pod gets its role as a label. */
  readonly labelPod: boolean;
  /** Empty: nowhere. */
  readonly httpListen: string;
  /** Null: HTTP without TLS. */
  readonly httpTls: { readonly certFile: string; readonly keyFile: string } | null;
  /** Empty: none. */
  readonly httpTokenFile: string;
}

/** What stands in for keys that a file of many nodes leaves out: flags, or the environment. */
export interface AgentIdentity {
  readonly node?: string | undefined;
  readonly address?: string | undefined;
}

/**
 * Reads and checks it.
 * @throws {ConfigError} with every problem that could be found
 */
export async function loadAgentConfig(file: string, identity: AgentIdentity = {}): Promise<AgentConfig> {
  const tree = await readTree(file);
  for (const [key, value] of Object.entries(identity)) {
    if (value === undefined) continue;
    tree.values[key] = value;
    tree.origins.replace([key], { kind: 'flag', flag: `--${key}` });
  }
  const values = checkAgainst(agentSchema, tree.values, tree.origins);
  const problems: Problem[] = [];
  const section = new Section(tree.origins, problems, []);
  const cluster = await readClusterAccess(values.cluster, tree.origins, problems);
  const timing = timingOf(values, section);
  checkIdentity(values, section);
  checkSettings(values, section);
  const superuserPassword = await password(section, 'superuser_password_file', values);
  const replicationPassword = await password(section, 'replication_password_file', values);
  const authPassword = await password(section, 'auth_password_file', values);
  const httpTls = httpTlsOf(values, section);
  if (problems.length > 0 || cluster === null) throw new ConfigError(problems);
  return {
    file,
    node: values.node as string,
    address: values.address as string,
    cluster,
    ...{
      durability: values.durability,
      quorum: values.quorum,
      timing,
      superuserPassword,
      replicationPassword,
      authPassword,
    },
    priority: values.nofailover ? 0 : values.priority,
    replicateFrom: values.replicate_from ?? null,
    wedgedMs: values.timing.wedged,
    postgresql: withPaths(values.postgresql, section),
    onEvent: values.on_event,
    onEventMs: values.on_event_timeout,
    labelPod: values.label_pod,
    httpListen: values.http_listen,
    httpTls,
    httpTokenFile:
      values.http_token_file === undefined ? '' : section.path(['http_token_file'], values.http_token_file),
  };
}

function httpTlsOf(values: AgentValues, section: Section): AgentConfig['httpTls'] {
  const { http_tls_cert_file: certFile, http_tls_key_file: keyFile } = values;
  if (certFile !== undefined && keyFile !== undefined) {
    return {
      certFile: section.path(['http_tls_cert_file'], certFile),
      keyFile: section.path(['http_tls_key_file'], keyFile),
    };
  }
  const missing = certFile === undefined ? 'http_tls_cert_file' : 'http_tls_key_file';
  if (certFile !== keyFile)
    section.refuse([missing], 'a certificate and its key belong together: it is missing');
  return null;
}

async function readTree(file: string): Promise<ConfigTree> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const origin = { kind: 'file', file, line: 1, column: 1 } as const;
    throw new ConfigError([{ origin, key: '', message: explainUnreadable(error) }]);
  });
  const tree = readYaml(text, file);
  // A heading with nothing under it.
  for (const key of ['timing', 'on_event']) if (tree.values[key] === null) delete tree.values[key];
  return tree;
}

/** Reached from the same machine alone. */
const LOCAL = /^(127\.|localhost$|::1$|\/)/;

function checkIdentity(values: AgentValues, section: Section): void {
  const { node, address, cluster, postgresql } = values;
  if (node === undefined)
    section.refuse(['node'], 'no name: write it here, or use --node NAME or SLUICE_NODE');
  if (node !== undefined && values.replicate_from === node)
    section.refuse(['replicate_from'], 'this is the node itself: name another one');
  if (address === undefined) {
    section.refuse(
      ['address'],
      'where do others reach this machine? Write it here, or use --address HOST or SLUICE_ADDRESS',
    );
  }
  if (address?.startsWith('/') === true && cluster.store.embedded === undefined) {
    section.refuse(
      ['address'],
      'a unix socket is reached from this machine alone: name the host or an address',
    );
  }
  if (address !== undefined && !LOCAL.test(address) && postgresql.replication_password_file === undefined) {
    section.refuse(
      ['postgresql'],
      'standbys on other machines log in with a password: add replication_password_file',
    );
  }
  if (address === '0.0.0.0' || address === '*' || address === '::') {
    section.refuse(['address'], `${address} is where one listens, and not where one is reached`);
  }
}

/** Settings of PostgreSQL that are the agent's: another value would break a promise. */
const OWN_SETTINGS: ReadonlySet<string> = new Set([
  ...[
    'data_directory',
    'hba_file',
    'external_pid_file',
    'listen_addresses',
    'port',
    'unix_socket_directories',
  ],
  ...['cluster_name', 'hot_standby', 'wal_log_hints', 'restart_after_crash'],
  ...['primary_conninfo', 'primary_slot_name', 'synchronous_standby_names', 'promote_trigger_file'],
  ...[
    'restore_command',
    'recovery_target',
    'recovery_target_timeline',
    'recovery_target_action',
    'config_file',
  ],
]);

function checkSettings({ postgresql }: AgentValues, section: Section): void {
  const { replication_sslmode: mode, replication_ca_file: caFile, auth_user: authUser } = postgresql;
  if (mode.startsWith('verify-') && caFile === undefined)
    section.refuse(['postgresql', 'replication_sslmode'], `${mode} needs replication_ca_file`);
  if (authUser === postgresql.superuser || authUser === postgresql.replication_user)
    section.refuse(['postgresql', 'auth_user'], 'this role has another purpose: name one of its own');
  for (const name of Object.keys(postgresql.settings)) {
    const path = ['postgresql', 'settings', name];
    if (!/^[A-Za-z_][\w.]*$/.test(name)) section.refuse(path, 'this is no name of a setting');
    else if (OWN_SETTINGS.has(name.toLowerCase()))
      section.refuse(path, 'the agent decides this itself: leave it out');
  }
}

/** Durations that follow from the lease, where the file doesn't say them; in the proportions that the simulator tries. */
function timingOf({ timing, cluster }: AgentValues, section: Section): ClusterTiming {
  const leaseMs = cluster.lease;
  const result: ClusterTiming = {
    leaseMs,
    renewMs: timing.renew ?? leaseMs / 5,
    renewRetryMs: timing.renew_retry ?? leaseMs / 20,
    fenceMs: timing.fence ?? leaseMs / 10,
    registerMs: timing.register ?? (leaseMs * 3) / 10,
    retryMs: timing.retry,
    graceMs: timing.grace,
    patienceMs: timing.patience,
    dropMs: timing.drop,
    checkpointMs: timing.checkpoint,
    drainMs: timing.drain,
    yieldMs: timing.yield,
  };
  const atMost = (key: 'renew' | 'renew_retry' | 'fence' | 'register', ms: number, part: string) => {
    const value = timing[key];
    if (value !== undefined && value > ms) {
      section.refuse(['timing', key], `${value} ms are too long: at most ${part} of the lease, ${ms} ms`);
    }
    if (value !== undefined && value < SHORTEST_MS) {
      section.refuse(['timing', key], `${value} ms are too short: at least ${SHORTEST_MS} ms`);
    }
  };
  atMost('renew', leaseMs / 3, 'a third');
  atMost('renew_retry', leaseMs / 5, 'a fifth');
  atMost('fence', leaseMs / 3, 'a third');
  atMost('register', leaseMs / 2, 'half');
  if (timing.wedged < WEDGED_MS_MIN)
    section.refuse(['timing', 'wedged'], 'a busy disk can take so long: at least 2s');
  if (timing.retry < SHORTEST_MS) section.refuse(['timing', 'retry'], `at least ${SHORTEST_MS} ms`);
  if (timing.grace > timing.patience)
    section.refuse(['timing', 'grace'], 'longer than patience, which it is a part of');
  return result;
}

/** The machine is told the time each 100 ms. */
const SHORTEST_MS = 50;
const WEDGED_MS_MIN = 2000;

const PATH_KEYS = [
  ...(['bin', 'socket_dir', 'config_file', 'hba_file', 'replication_ca_file'] as const),
  ...(['replication_password_file', 'auth_password_file'] as const),
] as const;

function withPaths(postgresql: AgentValues['postgresql'], section: Section): AgentValues['postgresql'] {
  const path = (key: (typeof PATH_KEYS)[number]) => {
    const value = postgresql[key];
    return value === undefined ? {} : { [key]: section.path(['postgresql', key], value) };
  };
  return {
    ...postgresql,
    data: section.path(['postgresql', 'data'], postgresql.data),
    ...Object.assign({}, ...PATH_KEYS.map(path)),
  };
}

async function password(
  section: Section,
  key: 'superuser_password_file' | 'replication_password_file' | 'auth_password_file',
  { postgresql }: AgentValues,
): Promise<string | null> {
  const text = await section.read(['postgresql', key], postgresql[key]);
  return text?.replace(/\r?\n$/, '') ?? null;
}
