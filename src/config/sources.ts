/** Where a configuration comes from, and how its values are brought together before anything is checked. */
import { readFile } from 'node:fs/promises';
import { OriginMap } from './origin-map.js';
import { PGBOUNCER_DEFAULTS } from './pgbouncer-defaults.js';
import { readPgbouncerIni } from './pgbouncer-ini.js';
import { ConfigError, type Problem } from './problem.js';
import { type ConfigInput, SECTION_NAMES } from './schema.js';
import { hidePassword, parseDatabaseFlag, UrlError } from './server-url.js';
import { explainUnreadable } from './unreadable.js';
import { type ConfigTree, readYaml } from './yaml-source.js';

/** Where a configuration comes from. Later ones win over earlier ones, setting by setting. */
export interface ConfigSources {
  /** A YAML file, or PgBouncer's `pgbouncer.ini`, by the ending of its name. */
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

/** Whose defaults and rules hold: `pgbouncer` in a `pgbouncer.ini`, `sluice` everywhere else. */
export type ConfigDialect = 'sluice' | 'pgbouncer';

/** The values of all sources, unchecked. */
export interface GatheredConfig {
  readonly dialect: ConfigDialect;
  readonly tree: ConfigTree;
  /** What is wrong with flags. */
  readonly problems: readonly Problem[];
}

/**
 * Reads the file and lays everything else over it.
 * @throws {ConfigError} when the file can't be read
 */
export async function gatherConfig(sources: ConfigSources): Promise<GatheredConfig> {
  const dialect = dialectOf(sources.file);
  const tree = await readTree(sources.file, dialect);
  // A heading with nothing (or only comments) under it.
  for (const key of SECTION_NAMES) if (tree.values[key] === null) delete tree.values[key];
  Object.assign(tree.values, sources.values);
  const problems = [
    ...applySettings(tree, sources.set ?? []),
    ...applyDatabases(tree, sources.databases ?? []),
  ];
  return { dialect, tree, problems };
}

/** By the ending of the name, `.ini`. */
export function dialectOf(file: string | undefined): ConfigDialect {
  return file?.toLowerCase().endsWith('.ini') ? 'pgbouncer' : 'sluice';
}

/** What is in force where nothing is said, laid under what is said. */
export function withDefaults(
  values: Record<string, unknown>,
  dialect: ConfigDialect,
): Record<string, unknown> {
  if (dialect === 'sluice') return values;
  const settings: Record<string, unknown> = { ...PGBOUNCER_DEFAULTS, ...values };
  return { ...settings, databases: onUnixSocket(settings.databases, settings.unix_socket_dir) };
}

/** PgBouncer looks for a server without a host where it has its own unix socket. */
function onUnixSocket(databases: unknown, folder: unknown): unknown {
  if (typeof databases !== 'object' || databases === null) return databases;
  return Object.fromEntries(
    Object.entries(databases).map(([name, entry]) => [name, { host: folder, ...(entry as object) }]),
  );
}

async function readTree(file: string | undefined, dialect: ConfigDialect): Promise<ConfigTree> {
  if (file === undefined) return { values: {}, origins: new OriginMap() };
  return dialect === 'pgbouncer' ? readPgbouncerIni(file) : readYaml(await readConfigFile(file), file);
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const origin = { kind: 'file', file, line: 1, column: 1 } as const;
    throw new ConfigError([{ origin, key: '', message: explainUnreadable(error) }]);
  }
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
