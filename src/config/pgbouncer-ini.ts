/**
 * Reads a `pgbouncer.ini` (PgBouncer's manual, "pgbouncer.ini") into the same tree as a YAML file: sections, comments
 * with `;` and `#`, `%include`, connection strings. What PgBouncer spells in its own way is put into ours.
 */
import { readFile } from 'node:fs/promises';
import { ConnectionStringError, parseConnectionString } from './connection-string.js';
import { OriginMap } from './origin-map.js';
import { ConfigError, formatKey, type Origin, type Problem } from './problem.js';
import { SETTINGS } from './schema.js';
import { explainUnreadable } from './unreadable.js';
import type { ConfigTree } from './yaml-source.js';

/** As in PgBouncer. */
const INCLUDE_DEPTH_MAX = 10;

const SECTIONS = ['pgbouncer', 'databases', 'users', 'peers'] as const;
type Section = (typeof SECTIONS)[number];

const INCLUDE = /^%include[ \t]+(.*)$/;
const SECTION = /^\[([^\]]*)\]\s*(.*)$/;
/** A key is a word, or anything in quotes. */
const ASSIGNMENT = /^(?:'([^']+)'|"((?:[^"]|"")+)"|([\w.*-]+))[ \t]*=[ \t]*(.*)$/;

/** Older names. */
const ALIASES: Readonly<Record<string, string>> = Object.freeze({ reserve_pool: 'reserve_pool_size' });
/** Words that may be in capitals. */
const WORD_KEYS = /^(pool_mode|auth_type|load_balance_hosts|(client|server)_tls_sslmode)$/;
/** Entries in which 0 means that the setting of the whole gateway holds. */
const ZERO_IS_NONE: Readonly<Record<Exclude<Section, 'pgbouncer'>, RegExp>> = Object.freeze({
  databases: /^server_lifetime$/,
  users: /^(query|transaction|idle_transaction|client_idle)_timeout$/,
  peers: /^$/,
});

/**
 * Reads a file, and those that it includes (their paths count from the working directory, as in PgBouncer).
 * @throws {ConfigError} with every line that can't be read
 */
export async function readPgbouncerIni(file: string): Promise<ConfigTree> {
  const reader = new IniReader();
  await reader.read(file, 0, { kind: 'file', file, line: 1, column: 1 });
  return reader.finish(file);
}

/** A value of the section `[pgbouncer]` in our spelling. */
export function respellSetting(name: string, value: string): string {
  // A switch is a number there: tcp_defer_accept = 45 is on.
  if (SETTINGS.get(name)?.type === 'boolean' && /^-?\d+$/.test(value)) return Number(value) === 0 ? '0' : '1';
  return WORD_KEYS.test(name) ? value.toLowerCase() : value;
}

class IniReader {
  #settings: Record<string, unknown> = {};
  readonly #lists = { databases: {}, users: {}, peers: {} } as Record<
    Exclude<Section, 'pgbouncer'>,
    Record<string, unknown>
  >;
  readonly #origins = new OriginMap();
  readonly #problems: Problem[] = [];
  #section: Section | 'unknown' | null = null;
  #hasMainSection = false;

  async read(file: string, depth: number, includedAt: Origin): Promise<void> {
    let source: string;
    try {
      source = await readFile(file, 'utf8');
    } catch (error) {
      const subject = depth === 0 ? '' : `cannot include ${JSON.stringify(file)}: `;
      this.#problems.push({ origin: includedAt, key: '', message: subject + explainUnreadable(error) });
      return;
    }
    for (const [index, raw] of source.split('\n').entries()) {
      const line = raw.trim();
      const origin: Origin = { kind: 'file', file, line: index + 1, column: raw.search(/\S/) + 1 };
      const include = INCLUDE.exec(line);
      if (include) await this.#include(include[1]!, depth, origin);
      else this.#readLine(line, origin);
    }
  }

  /** @throws {ConfigError} */
  finish(file: string): ConfigTree {
    if (this.#problems.length === 0 && !this.#hasMainSection) {
      const origin: Origin = { kind: 'file', file, line: 1, column: 1 };
      this.#problems.push({ origin, key: '', message: 'the section [pgbouncer] is missing' });
    }
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
    return { values: { ...this.#settings, ...this.#lists }, origins: this.#origins };
  }

  async #include(file: string, depth: number, origin: Origin): Promise<void> {
    if (depth < INCLUDE_DEPTH_MAX) return this.read(file, depth + 1, origin);
    this.#refuse(origin, '', `more than ${INCLUDE_DEPTH_MAX} files are included by each other`);
  }

  #readLine(line: string, origin: Origin): void {
    if (line === '' || line.startsWith(';') || line.startsWith('#')) return;
    const section = SECTION.exec(line);
    if (section) {
      this.#enter(section[1]!, origin);
      return this.#readLine(section[2]!, origin);
    }
    const [, single, double, word, value] = ASSIGNMENT.exec(line) ?? [];
    const key = single ?? double?.replaceAll('""', '"') ?? word;
    if (key === undefined || value === undefined) {
      this.#refuse(origin, '', 'expected key = value, a [section], %include or a comment');
    } else if (this.#section === null) {
      this.#refuse(origin, key, 'stands before the first section: [pgbouncer] is missing above it');
    } else if (this.#section === 'pgbouncer') {
      this.#settings[key] = respellSetting(key, value);
      this.#origins.replace([key], origin);
    } else if (this.#section !== 'unknown') {
      this.#readEntry(this.#section, key, value, origin);
    }
  }

  #enter(name: string, origin: Origin): void {
    this.#section = SECTIONS.find((known) => known === name) ?? 'unknown';
    if (this.#section === 'unknown') {
      const known = SECTIONS.map((section) => `[${section}]`).join(', ');
      this.#refuse(origin, `[${name}]`, `no such section; known ones: ${known}`);
    } else if (this.#section === 'pgbouncer') {
      // As in PgBouncer, every setting begins at its default again.
      this.#settings = {};
      this.#hasMainSection = true;
    }
  }

  #readEntry(section: Exclude<Section, 'pgbouncer'>, name: string, text: string, origin: Origin): void {
    const path = [section, name];
    const entry: Record<string, string> = {};
    try {
      this.#origins.replace(path, origin);
      for (const { key, value } of parseConnectionString(text)) {
        const ours = ALIASES[key] ?? key;
        if (isUnset(section, ours, value)) delete entry[ours];
        else entry[ours] = WORD_KEYS.test(ours) ? value.toLowerCase() : value;
      }
      this.#lists[section][name] = entry;
    } catch (error) {
      if (!(error instanceof ConnectionStringError)) throw error;
      this.#refuse(origin, formatKey(path), error.message);
    }
  }

  #refuse(origin: Origin, key: string, message: string): void {
    this.#problems.push({ origin, key, message });
  }
}

/** Numbers below zero, and some zeros, say that the setting of the whole gateway holds. */
function isUnset(section: Exclude<Section, 'pgbouncer'>, key: string, value: string): boolean {
  if (/^-\d+$/.test(value)) return true;
  return value === '0' && ZERO_IS_NONE[section].test(key);
}
