/** Puts a configuration together from a file and flags, checks it as a whole, and says everything that is wrong. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { checkTree } from './check.js';
import { collectUsers, type KnownUser } from './known-users.js';
import { type ListenAddress, listenAddresses, parseListenFlag } from './listen-address.js';
import { OriginMap } from './origin-map.js';
import { ConfigError, formatKey, type Problem } from './problem.js';
import { CONSOLE_DATABASE } from './schema/database.js';
import { type ConfigInput, type ConfigValues, FILE_SETTINGS, LIST_NAMES } from './schema.js';
import { hidePassword, parseDatabaseFlag, UrlError } from './server-url.js';
import { unsupported } from './unsupported.js';
import { parseUserlist, type UserlistEntry } from './userlist.js';
import { type ConfigTree, readYaml } from './yaml-source.js';

/** Where a configuration comes from. Later ones win over earlier ones, setting by setting. */
export interface ConfigSources {
  /** A YAML file. */
  readonly file?: string;
  /** Values that the program supplies, spelled as in a file. */
  readonly values?: ConfigInput;
  /** `name=value`: any setting but `databases` and `users`. */
  readonly set?: readonly string[];
  /** `URL` or `NAME=URL`: each adds or replaces one database. */
  readonly databases?: readonly string[];
  /** If there are any, they replace listen_addr and unix_socket_dir. */
  readonly listen?: readonly string[];
}

/** With these, somebody can log in only if the gateway knows of a user. */
const NEEDS_USERS: ReadonlySet<string> = new Set(['plain', 'md5', 'scram-sha-256']);

/** `sluice`: YAML and flags. */
export type ConfigDialect = 'sluice' | 'pgbouncer';

/** A configuration that has passed every check. */
export interface SluiceConfig {
  /** Whose defaults and rules hold: PgBouncer's for a `pgbouncer.ini`. */
  readonly dialect: ConfigDialect;
  /** Every setting with its value; durations are in ms, paths of files are absolute or relative to the process. */
  readonly values: ConfigValues;
  readonly listen: readonly ListenAddress[];
  /** From `users`, from auth_file, or (without both) from the logins of `databases`. */
  readonly users: ReadonlyMap<string, KnownUser>;
}

/**
 * Reads and checks a configuration.
 * @throws {ConfigError} with every problem that could be found
 */
export async function loadConfig(sources: ConfigSources): Promise<SluiceConfig> {
  const tree: ConfigTree =
    sources.file === undefined
      ? { values: {}, origins: new OriginMap() }
      : readYaml(await readConfigFile(sources.file), sources.file);
  // A heading with nothing (or only comments) under it.
  for (const key of LIST_NAMES) if (tree.values[key] === null) delete tree.values[key];
  Object.assign(tree.values, sources.values);
  const flagProblems = [
    ...applySettings(tree, sources.set ?? []),
    ...applyDatabases(tree, sources.databases ?? []),
  ];
  const values = checkWithFlags(tree, flagProblems);

  const problems: Problem[] = [];
  const listen = resolveListen(tree, values, sources.listen ?? [], problems);
  resolveFiles(values, tree.origins, sources.file);
  const listed = await readUserlist(tree, values, problems);
  const users = collectUsers(values, listed, tree.origins, problems);
  problems.push(...contradictions(values, users, tree.origins), ...unsupported(values, tree.origins));
  if (problems.length > 0) throw new ConfigError(problems);
  return { dialect: 'sluice', values, listen, users };
}

/** The schema's problems and those of the flags are told together. */
function checkWithFlags(tree: ConfigTree, flagProblems: readonly Problem[]): ConfigValues {
  try {
    const values = checkTree(tree.values, tree.origins);
    if (flagProblems.length > 0) throw new ConfigError(flagProblems);
    return values;
  } catch (error) {
    if (!(error instanceof ConfigError) || flagProblems.length === 0) throw error;
    throw new ConfigError([...new Set([...error.problems, ...flagProblems])]);
  }
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const origin = { kind: 'file', file, line: 1, column: 1 } as const;
    throw new ConfigError([{ origin, key: '', message: explainUnreadable(error) }]);
  }
}

function explainUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'this file may not be read: check its permissions';
  if (code === 'EISDIR') return 'this is a folder, not a file';
  return `this file could not be read (${message})`;
}

function applySettings(tree: ConfigTree, settings: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  for (const setting of settings) {
    const [, name, value] = /^\s*([^=\s]+)\s*=(.*)$/s.exec(setting) ?? [];
    const origin = { kind: 'flag', flag: `--set ${hidePassword(setting)}` } as const;
    if (name === undefined || value === undefined) {
      problems.push({ origin, key: '', message: 'expected name=value, like --set default_pool_size=20' });
    } else if (/^databases\b/.test(name)) {
      problems.push({
        origin: { kind: 'flag', flag: '--set databases' },
        key: '',
        message: 'use --database NAME=URL',
      });
    } else if (/^users\b/.test(name)) {
      const message = 'users can be named in a file only: under users, or in auth_file';
      problems.push({ origin: { kind: 'flag', flag: '--set users' }, key: '', message });
    } else {
      tree.values[name] = value;
      tree.origins.replace([name], origin);
    }
  }
  return problems;
}

function applyDatabases(tree: ConfigTree, flags: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  for (const value of flags) {
    const origin = { kind: 'flag', flag: `--database ${hidePassword(value)}` } as const;
    try {
      const { name, server } = parseDatabaseFlag(value);
      const databases = tree.values.databases;
      // Something else than a mapping is the schema's to refuse.
      if (databases !== undefined && typeof databases !== 'object') continue;
      tree.values.databases = { ...databases, [name]: server };
      tree.origins.replace(['databases', name], origin);
    } catch (error) {
      if (!(error instanceof UrlError)) throw error;
      problems.push({ origin, key: '', message: error.message });
    }
  }
  return problems;
}

function resolveListen(
  tree: ConfigTree,
  values: ConfigValues,
  flags: readonly string[],
  problems: Problem[],
): ListenAddress[] {
  if (flags.length === 0) {
    const addresses = listenAddresses(values);
    if (addresses.length === 0) {
      const message = 'no place to listen: give listen_addr (127.0.0.1) or unix_socket_dir a value';
      problems.push({ origin: tree.origins.get(['listen_addr']), key: 'listen_addr', message });
    }
    return addresses;
  }
  const addresses: ListenAddress[] = [];
  for (const flag of flags) {
    const address = parseListenFlag(flag, values);
    if (address) {
      addresses.push(address);
    } else {
      const message = 'expected HOST:PORT (127.0.0.1:6432, [::1]:6432, *:6432) or the path of a unix socket';
      problems.push({ origin: { kind: 'flag', flag: `--listen ${flag}` }, key: '', message });
    }
  }
  return addresses;
}

/** In a file, a relative path counts from its folder; anywhere else, from the process's. */
function resolveFiles(values: ConfigValues, origins: OriginMap, configFile: string | undefined): void {
  const folder = path.dirname(configFile ?? '.');
  for (const name of FILE_SETTINGS) {
    const value = values[name] as string;
    if (value === '' || origins.get([name]).kind !== 'file') continue;
    (values as Record<string, unknown>)[name] = path.isAbsolute(value) ? value : path.join(folder, value);
  }
}

async function readUserlist(
  tree: ConfigTree,
  values: ConfigValues,
  problems: Problem[],
): Promise<UserlistEntry[]> {
  const file = values.auth_file;
  if (file === '') return [];
  try {
    return parseUserlist(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof ConfigError) {
      problems.push(...error.problems);
    } else {
      const message = `${JSON.stringify(file)}: ${explainUnreadable(error)}`;
      problems.push({ origin: tree.origins.get(['auth_file']), key: 'auth_file', message });
    }
    return [];
  }
}

/** Values that are right by themselves, and not together. */
function contradictions(
  values: ConfigValues,
  users: ReadonlyMap<string, KnownUser>,
  origins: OriginMap,
): Problem[] {
  const problems: Problem[] = [];
  const databases = Object.entries(values.databases);
  if (databases.length === 0) {
    const message = 'no database is named; an example: databases: { app: { host: 127.0.0.1, port: 5432 } }';
    problems.push({ origin: origins.get(['databases']), key: 'databases', message });
  }
  for (const [name, database] of databases) {
    if (database.password !== undefined && database.user === undefined) {
      const path = ['databases', name, 'password'];
      const message = 'whose password? It belongs to user, which is missing';
      problems.push({ origin: origins.get(path), key: formatKey(path), message });
    }
  }
  for (const [name, { host, port }] of databases) {
    if (typeof port === 'number' || port.length === host.split(',').length) continue;
    const path = ['databases', name, 'port'];
    const message = `found ${port.length} ports for ${host.split(',').length} hosts, expected one, or one for each`;
    problems.push({ origin: origins.get(path), key: formatKey(path), message });
  }
  if (CONSOLE_DATABASE in values.databases) {
    const path = ['databases', CONSOLE_DATABASE];
    const message = 'this name is reserved for the console';
    problems.push({ origin: origins.get(path), key: formatKey(path), message });
  }
  const asksServer =
    values.auth_user !== '' || databases.some(([, { auth_user }]) => auth_user !== undefined);
  const needsUsers = NEEDS_USERS.has(values.auth_type) && !asksServer;
  if (needsUsers && users.size === 0 && databases.length > 0) {
    const message =
      `with ${values.auth_type} nobody could log in, because no user's password is known. ` +
      'Name users under users or in auth_file, give a database a user and password, or set auth_type to trust';
    problems.push({ origin: origins.get(['auth_type']), key: 'auth_type', message });
  }
  return problems;
}
