/** Settings that are allowed, and yet will probably not do what is hoped for: warnings with numbers and what to do. */
import { type KnownUser, MD5_SECRET } from './known-users.js';
import type { SluiceConfig } from './load.js';
import { type ConfigValues, SETTINGS } from './schema.js';

/** Descriptors that a process needs beside those of its connections: listeners, epoll, logs, libraries. */
const OTHER_DESCRIPTORS = 64;

/** The methods that ask for a secret which has to be known. */
const PASSWORD_TYPES: ReadonlySet<string> = new Set(['plain', 'md5', 'scram-sha-256']);

/** `main-ro` and `main-r` of CloudNativePG and of our own manifests, `acid-main-repl` of Zalando's, with or without a namespace. */
const SHARED_SERVICE = /^[^.]+-(?:ro|r|repl)(?:\.|$)/;

/** What the machine allows. */
export interface MachineLimits {
  /** How many files the process may have open (`ulimit -n`); null: unknown or unlimited. */
  readonly openFiles: number | null;
}

/** Sentences without a full stop, worth a warning at start. */
export function adviseOn(config: SluiceConfig, limits: MachineLimits): string[] {
  return [
    ...adviseOnOpenFiles(config, limits),
    ...adviseOnPoolSizes(config),
    ...adviseOnUsers(config),
    ...adviseOnNodes(config),
  ];
}

/** What the settings that do nothing themselves are replaced by, for those that the sources name. */
export function honouredElsewhere({ gathered }: SluiceConfig): string[] {
  return Object.keys(gathered.tree.values).flatMap((name) => {
    const instead = SETTINGS.get(name)?.instead;
    return instead === undefined ? [] : [`${name} is honoured in another way: ${instead}`];
  });
}

function adviseOnOpenFiles({ values }: SluiceConfig, { openFiles }: MachineLimits): string[] {
  if (openFiles === null) return [];
  const databases = Object.values(values.databases);
  const servers = databases.reduce((sum, { pool_size }) => sum + (pool_size ?? values.default_pool_size), 0);
  const needed = values.max_client_conn + servers + OTHER_DESCRIPTORS;
  if (needed <= openFiles) return [];
  const clients = openFiles - servers - OTHER_DESCRIPTORS;
  const lower = clients > 0 ? ` or lower max_client_conn to ${clients}` : '';
  return [
    `max_client_conn = ${values.max_client_conn} and ${servers} server connections (one user per database) need ` +
      `${needed} open files, but this process may have ${openFiles}: raise the limit (ulimit -n ${needed}, ` +
      `LimitNOFILE=${needed} in systemd)${lower}`,
  ];
}

function adviseOnPoolSizes({ values }: SluiceConfig): string[] {
  const advice: string[] = [];
  for (const [name, { pool_size }] of Object.entries(values.databases)) {
    const size = pool_size ?? values.default_pool_size;
    if (size <= values.max_client_conn) continue;
    advice.push(
      `the pools of database ${JSON.stringify(name)} may hold ${size} server connections, but with ` +
        `max_client_conn = ${values.max_client_conn} no more than that many can be used`,
    );
  }
  return advice;
}

/** By their names as operators of Kubernetes give them: each connection to such a Service may lead to another standby. */
function adviseOnNodes({ values }: SluiceConfig): string[] {
  return Object.entries(values.databases).flatMap(([name, { nodes = [] }]) => {
    const shared = nodes.map(({ host }) => host).filter((host) => SHARED_SERVICE.test(host));
    if (shared.length === 0) return [];
    return [
      `of database ${JSON.stringify(name)} ${shared.join(', ')} seems to stand for several standbys: each connection ` +
        'would lead to another one, and reads could be stale. Name the nodes, or let nodes_from find them',
    ];
  });
}

function adviseOnUsers({ values, users }: SluiceConfig): string[] {
  const cannot = [...users]
    .filter(([, user]) => !canLogIn(user, values.auth_type))
    .map(([name]) => JSON.stringify(name));
  if (cannot.length === 0) return [];
  const more = cannot.length > 5 ? ` and ${cannot.length - 5} more` : '';
  return [
    `with auth_type = ${values.auth_type} these users cannot log in, because no fitting secret is known of them: ` +
      `${cannot.slice(0, 5).join(', ')}${more}`,
  ];
}

function canLogIn({ password, verifier }: KnownUser, authType: ConfigValues['auth_type']): boolean {
  if (!PASSWORD_TYPES.has(authType) || password !== null) return true;
  if (verifier === null) return false;
  // The gateway asks a user of whom only a SCRAM verifier is known by SCRAM, also where auth_type is md5.
  if (authType === 'md5') return true;
  return MD5_SECRET.test(verifier) === (authType === 'plain');
}
