/** Puts a configuration together from a file and flags, checks it as a whole, and says everything that is wrong. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { HbaRule } from '../core/hba.js';
import { checkAuthentication } from './authentication.js';
import { checkTree } from './check.js';
import { type ClusterAccess, readClusterAccess } from './cluster-access.js';
import { contradictions } from './contradictions.js';
import { readHba } from './hba.js';
import { collectUsers, type KnownUser } from './known-users.js';
import { type ListenAddress, listenAddresses, parseListenFlag } from './listen-address.js';
import { type NodesFrom, readNodesFrom } from './nodes-from.js';
import type { OriginMap } from './origin-map.js';
import { ConfigError, formatProblem, type Problem } from './problem.js';
import { type ConfigValues, FILE_SETTINGS } from './schema.js';
import {
  type ConfigDialect,
  type ConfigSources,
  type GatheredConfig,
  gatherConfig,
  withDefaults,
} from './sources.js';
import { type FormerTls, loadTls, type TlsConfiguration } from './tls.js';
import { explainUnreadable } from './unreadable.js';
import { parseUserlist, type UserlistEntry } from './userlist.js';

export type { ConfigDialect, ConfigSources } from './sources.js';

/** A configuration that has passed every check. */
export interface SluiceConfig {
  readonly dialect: ConfigDialect;
  /** Every setting with its value; durations are in ms, paths of files are absolute or relative to the process. */
  readonly values: ConfigValues;
  readonly listen: readonly ListenAddress[];
  /** From `users`, from auth_file, or (without both) from the logins of `databases`. */
  readonly users: ReadonlyMap<string, KnownUser>;
  /** The rules of auth_hba_file; none unless auth_type is `hba`. */
  readonly hba: readonly HbaRule[];
  /** The cluster whose nodes serve databases, and its store; null: the file names none. Holds secrets. */
  readonly cluster: ClusterAccess | null;
  /** Whom to ask which nodes there are (`nodes_from`), by the names of the sources. Holds secrets. */
  readonly nodesFrom: ReadonlyMap<string, NodesFrom>;
  /** What `client_tls_*` and `server_tls_*` name, read and tried out. */
  readonly tls: TlsConfiguration;
  /** After a SET: why `tls` is still what it was before; nothing: it is what the settings say. Among the warnings, too. */
  readonly unappliedTls: readonly string[];
  /** What is wrong and doesn't keep PgBouncer from starting: sentences for the log. Without secrets. */
  readonly warnings: readonly string[];
  /** What it was made from, so that it can be read again, or changed in one setting. Holds secrets. */
  readonly sources: ConfigSources;
  readonly gathered: GatheredConfig;
}

/**
 * Reads and checks a configuration.
 * @throws {ConfigError} with every problem that could be found
 */
export async function loadConfig(sources: ConfigSources): Promise<SluiceConfig> {
  return assembleConfig(await gatherConfig(sources), sources);
}

/**
 * Reads the sources of a configuration again: what was changed by SET since is forgotten. The file is another one
 * when the setting `conffile` says so.
 * @throws {ConfigError} with every problem that could be found
 */
export function rereadConfig({ sources, values }: SluiceConfig): Promise<SluiceConfig> {
  return loadConfig(values.conffile === '' ? sources : { ...sources, file: values.conffile });
}

/**
 * Checks what was gathered. TLS settings that don't fit together yet leave TLS as it is in a `former` configuration.
 * @throws {ConfigError} with every problem that could be found
 */
export async function assembleConfig(
  gathered: GatheredConfig,
  sources: ConfigSources,
  former: FormerTls | null = null,
): Promise<SluiceConfig> {
  const { dialect, tree } = gathered;
  const values = checkWithFlags(gathered);
  const problems: Problem[] = [];
  const listen = resolveListen(gathered, values, sources.listen ?? [], problems);
  if (dialect === 'sluice') resolveFiles(values, tree.origins, sources.file);
  // PgBouncer says what is wrong with its auth_file and auth_hba_file, and goes on with what it could read.
  const listProblems: Problem[] = dialect === 'pgbouncer' ? [] : problems;
  const listed = await readUserlist(tree.origins, values, listProblems);
  const users = collectUsers({ dialect, values, origins: tree.origins }, listed, problems, listProblems);
  const cluster =
    values.cluster === undefined ? null : await readClusterAccess(values.cluster, tree.origins, problems);
  const nodesFrom = await readNodesFrom(values, tree.origins, problems);
  const hba = await readHba(values, tree.origins, listProblems);
  const { tls, unapplied } = await loadTls(values, tree.origins, problems, former);
  problems.push(
    ...contradictions({ dialect, values, users, origins: tree.origins }),
    ...checkAuthentication(dialect, values, tree.origins),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  const unappliedTls = unapplied.map(formatProblem);
  const warnings = [...listProblems.map(formatProblem), ...unappliedTls];
  const parts = { users, hba, cluster, nodesFrom, tls, unappliedTls };
  return { dialect, values, listen, ...parts, warnings, sources, gathered };
}

/** The schema's problems and those of the flags are told together. */
function checkWithFlags({ dialect, tree, problems }: GatheredConfig): ConfigValues {
  try {
    const values = checkTree(withDefaults(tree.values, dialect), tree.origins);
    if (problems.length > 0) throw new ConfigError(problems);
    return values;
  } catch (error) {
    if (!(error instanceof ConfigError) || problems.length === 0) throw error;
    throw new ConfigError([...new Set([...error.problems, ...problems])]);
  }
}

function resolveListen(
  { dialect, tree }: GatheredConfig,
  values: ConfigValues,
  flags: readonly string[],
  problems: Problem[],
): ListenAddress[] {
  if (flags.length === 0) {
    const addresses = listenAddresses(values, dialect);
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
  origins: OriginMap,
  values: ConfigValues,
  problems: Problem[],
): Promise<UserlistEntry[]> {
  const file = values.auth_file;
  if (file === '') return [];
  try {
    const { entries, problems: broken } = parseUserlist(await readFile(file, 'utf8'), file);
    problems.push(...broken);
    return entries;
  } catch (error) {
    const message = `${JSON.stringify(file)}: ${explainUnreadable(error)}`;
    problems.push({ origin: origins.get(['auth_file']), key: 'auth_file', message });
    return [];
  }
}
