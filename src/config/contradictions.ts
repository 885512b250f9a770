/** Values that are right by themselves, and not together. */
import type { KnownUser } from './known-users.js';
import type { OriginMap } from './origin-map.js';
import { formatKey, type Problem } from './problem.js';
import { CONSOLE_DATABASE, DEFAULT_PLACE } from './schema/database.js';
import type { ConfigValues, DatabaseValues } from './schema.js';
import type { ConfigDialect } from './sources.js';

/** With these, somebody can log in only if the gateway knows of a user. */
const NEEDS_USERS: ReadonlySet<string> = new Set(['plain', 'md5', 'scram-sha-256']);

const NODES_AND_HOST = 'a database has either host and port, or nodes, nodes_from or a cluster';
const TARGET_WITHOUT_NODES = 'target_session_attrs chooses among nodes, and there are none';
const SAME_NODE = 'two nodes have the same name, or the same host and port';

const NO_ABSTRACT = 'unix sockets in the abstract namespace (@) are not supported: name a folder';

/** What a configuration holds when its values are checked one by one. */
export interface CheckedParts {
  readonly dialect: ConfigDialect;
  readonly values: ConfigValues;
  readonly users: ReadonlyMap<string, KnownUser>;
  readonly origins: OriginMap;
}

/** What is wrong with the values of a configuration taken together. */
export function contradictions(parts: CheckedParts): Problem[] {
  const problems = aboutDatabases(parts);
  // Where there is no database there is still PgBouncer's console, and it starts with nobody who could log in.
  if (parts.dialect === 'sluice') problems.push(...aboutUse(parts));
  return problems;
}

function aboutDatabases({ dialect, values, origins }: CheckedParts): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: readonly string[], message: string): void => {
    problems.push({ origin: origins.get(path), key: formatKey(path), message });
  };
  for (const [name, { host, port, user, password, cluster }] of Object.entries(values.databases)) {
    const hosts = host.split(',');
    if (dialect === 'sluice' && password !== undefined && user === undefined) {
      refuse(['databases', name, 'password'], 'whose password? It belongs to user, which is missing');
    }
    if (typeof port !== 'number' && port.length !== hosts.length) {
      const message = `found ${port.length} ports for ${hosts.length} hosts, expected one, or one for each`;
      refuse(['databases', name, 'port'], message);
    }
    if (cluster !== undefined && values.cluster?.name !== cluster) {
      const known = values.cluster === undefined ? 'there is none' : `it is called ${values.cluster.name}`;
      refuse(['databases', name, 'cluster'], `the section cluster describes the cluster, and ${known}`);
    }
    if (hosts.some(isAbstract)) refuse(['databases', name, 'host'], NO_ABSTRACT);
    problems.push(...aboutNodes(name, values.databases[name]!, origins));
    if (name === CONSOLE_DATABASE) refuse(['databases', name], 'this name is reserved for the console');
  }
  if (isAbstract(values.unix_socket_dir)) refuse(['unix_socket_dir'], NO_ABSTRACT);
  return problems;
}

function aboutNodes(
  name: string,
  { nodes, nodes_from, cluster, host: only, port, target_session_attrs: target }: DatabaseValues,
  origins: OriginMap,
): Problem[] {
  const path = ['databases', name, 'nodes'];
  const messages: string[] = [];
  const hasNodes = nodes !== undefined || nodes_from !== undefined || cluster !== undefined;
  const hasHost = only !== DEFAULT_PLACE.host || port !== DEFAULT_PLACE.port;
  if (hasNodes && hasHost) messages.push(NODES_AND_HOST);
  if (!hasNodes && target !== undefined) messages.push(TARGET_WITHOUT_NODES);
  if (nodes !== undefined) {
    const places = nodes.map(({ host, port }) => `${host}:${port}`);
    const names = nodes.map((node, index) => node.name ?? places[index]!);
    if (new Set(places).size < nodes.length || new Set(names).size < nodes.length) messages.push(SAME_NODE);
  }
  return messages.map((message) => ({ origin: origins.get(path), key: formatKey(path), message }));
}

/** PgBouncer's form of a unix socket without a file. */
function isAbstract(folder: string): boolean {
  return folder.trim().startsWith('@');
}

function aboutUse({ values, users, origins }: CheckedParts): Problem[] {
  const databases = Object.values(values.databases);
  if (databases.length === 0) {
    const message = 'no database is named; an example: databases: { app: { host: 127.0.0.1, port: 5432 } }';
    return [{ origin: origins.get(['databases']), key: 'databases', message }];
  }
  const asksServer = values.auth_user !== '' || databases.some(({ auth_user }) => auth_user !== undefined);
  if (!NEEDS_USERS.has(values.auth_type) || asksServer || users.size > 0) return [];
  const message =
    `with ${values.auth_type} nobody could log in, because no user's password is known. ` +
    'Name users under users or in auth_file, give a database a user and password, or set auth_type to trust';
  return [{ origin: origins.get(['auth_type']), key: 'auth_type', message }];
}
