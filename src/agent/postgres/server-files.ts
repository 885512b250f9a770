/**
 * The configuration that PostgreSQL is started with: files of the agent's own, which include the operator's. Nothing of the
 * operator's is changed, but for settings of `postgresql.auto.conf` that the agent must own: those go, since they would win.
 */
import { access, readFile, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { AgentError } from '../agent-error.js';
import { runToEnd } from '../child-process.js';
import { lastLines } from '../node-folder.js';
import type { Login, PostgresSettings } from './postgres-side.js';
import { passfileLine } from './replication-secret.js';
import { type NodePaths, writeAtOnce, writeDurably } from './state-folder.js';

/** What is changed while PostgreSQL runs. */
export interface ChangingSettings {
  /** Empty: it receives from nobody. */
  readonly primaryConninfo: string;
  readonly synchronousStandbyNames: string;
  /** Whether clients are let in. */
  readonly isOpen: boolean;
}

/** No standby has this name, so that with it no commit is acknowledged. */
export const NOBODY = 'ANY 1 ("sluice: nobody yet")';

/** Of a PostgreSQL that has just been started. */
export const AS_STARTED: ChangingSettings = {
  primaryConninfo: '',
  synchronousStandbyNames: NOBODY,
  isOpen: true,
};

/** By it a connection shows which file the postmaster had read when the connection was made. */
export const GENERATION = 'sluice.generation';

/** Better than PostgreSQL's own defaults for a cluster; the operator's configuration wins. */
const DEFAULTS: Readonly<Record<string, string>> = {
  max_wal_senders: '10',
  max_replication_slots: '10',
  // There are no slots: a standby that was away for longer than this lasts is cloned.
  wal_keep_size: '1GB',
  wal_sender_timeout: '10s',
  wal_receiver_timeout: '10s',
};

/** What the agent relies on. Wins over everything. */
const OWNED: Readonly<Record<string, string>> = {
  fsync: 'on',
  full_page_writes: 'on',
  // For pg_rewind.
  wal_log_hints: 'on',
  hot_standby: 'on',
  primary_slot_name: '',
  recovery_target_timeline: 'latest',
  recovery_min_apply_delay: '0',
  // A change of the configuration wakes a waiting standby at once; each attempt of its own is a line in the log.
  wal_retrieve_retry_interval: '1s',
  // It would come back as a standby, without a word: a new life of it is begun by the agent alone.
  restart_after_crash: 'off',
};

const CHANGING = ['primary_conninfo', 'synchronous_standby_names'] as const;

/** The files of one node. */
export class ServerFiles {
  #settings: PostgresSettings;
  readonly #paths: NodePaths;
  #generation = 0;

  constructor(settings: PostgresSettings, paths: NodePaths) {
    this.#settings = settings;
    this.#paths = paths;
  }

  /** The command line that makes PostgreSQL use them, with what can't be changed while it runs. */
  get arguments(): string[] {
    const { node, listen, port, socketFolders } = this.#settings;
    const { config, hba, ident } = this.#paths;
    const settings = {
      ...{ config_file: config, hba_file: hba, ident_file: ident },
      ...{ listen_addresses: listen, port: String(port), cluster_name: node },
      ...(socketFolders === null ? {} : { unix_socket_directories: socketFolders }),
    };
    return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  }

  /** What is written from now on goes by other settings. */
  use(settings: PostgresSettings): void {
    this.#settings = settings;
  }

  /** Writes everything that is needed for a start; the password is that of the replication role in use. */
  async prepare(password = this.#settings.replication.password): Promise<void> {
    const { serverUser, replication, superuser } = this.#settings;
    await this.#cleanAutoConf();
    const names = new Set([userInfo().username, serverUser?.name ?? userInfo().username]);
    const map = [...names].map((name) => `sluice ${quote(name)} ${quote(superuser.user)}\n`).join('');
    await writeAtOnce(this.#paths.ident, map, serverUser);
    await writeAtOnce(this.#paths.passfile, passfileLine(replication.user, password), serverUser);
  }

  /** @returns the file's generation, as {@link GENERATION} will show it */
  async write(changing: ChangingSettings): Promise<number> {
    const { serverUser } = this.#settings;
    const generation = ++this.#generation;
    await writeAtOnce(this.#paths.hba, await this.#hba(changing.isOpen), serverUser);
    await writeAtOnce(this.#paths.config, this.#config(changing, generation), serverUser);
    return generation;
  }

  /**
   * Whether PostgreSQL would take the settings, by a file that nothing goes by: it reads that as for a start, and says a value.
   * @throws {AgentError} what it says against them
   */
  async check(changing: ChangingSettings): Promise<void> {
    const { serverUser, binaries } = this.#settings;
    const draft = `${this.#paths.config}.check`;
    await writeAtOnce(draft, this.#config(changing, this.#generation), serverUser);
    try {
      const args = ['-D', this.#paths.data, '-c', `config_file=${draft}`, '-C', 'server_version'];
      const { code, output } = await runToEnd(binaries.postgres, args, { user: serverUser });
      if (code !== 0) throw new AgentError('PostgreSQL does not take the settings', lastLines(output));
    } finally {
      await rm(draft, { force: true });
    }
  }

  #config(changing: ChangingSettings, generation: number): string {
    const { parameters } = this.#settings;
    const ours = {
      ...OWNED,
      primary_conninfo: changing.primaryConninfo,
      synchronous_standby_names: changing.synchronousStandbyNames,
      [GENERATION]: String(generation),
    };
    const operators = this.#settings.configFile ?? join(this.#paths.data, 'postgresql.conf');
    return [
      '# Written by sluice, again and again: changes are lost. Yours belong into the file that is included.',
      ...lines(DEFAULTS),
      `include_if_exists = ${quoteValue(operators)}`,
      '',
      ...lines(parameters),
      '# What the agent owns.',
      ...lines(ours),
      '',
    ].join('\n');
  }

  async #hba(isOpen: boolean): Promise<string> {
    const { superuser, replication, replicationTls, hbaFile, clientRules, auth } = this.#settings;
    const rules = [
      '# Written by sluice, again and again: changes are lost. Yours belong into the file that follows below.',
      `local "postgres" ${quote(superuser.user)} peer map=sluice`,
      ...replicationRules(replication, replicationTls.mode),
    ];
    if (!isOpen)
      return [...rules, '# Closed.', 'local all all reject', 'host all all all reject', ''].join('\n');
    const path = hbaFile ?? join(this.#paths.data, 'pg_hba.conf');
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    const operators = isThere || hbaFile !== null ? await readFile(path, 'utf8') : '';
    const lookUp = (auth?.databases ?? []).map(
      (database) => `local ${quote(database)} ${quote(superuser.user)} peer map=sluice`,
    );
    return [...rules, ...lookUp, ...clientRules, `# From ${path}:`, operators].join('\n');
  }

  /** Settings that were made with ALTER SYSTEM, or came with a copy of another node. */
  async #cleanAutoConf(): Promise<void> {
    const path = join(this.#paths.data, 'postgresql.auto.conf');
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text === null) return;
    const owned = new Set<string>([...Object.keys(OWNED), ...CHANGING]);
    const kept = text.split('\n').filter((line) => !owned.has(/^\s*([\w.]+)/.exec(line)?.[1] ?? ''));
    const cleaned = kept.join('\n');
    if (cleaned !== text) await writeDurably(path, cleaned, this.#settings.serverUser);
  }
}

/** A standby's connection to its primary. The password is in the passfile: conninfo is shown to monitoring roles. */
export function conninfo(
  { node, replication, replicationTls }: Pick<PostgresSettings, 'node' | 'replication' | 'replicationTls'>,
  { host, port }: { host: string; port: number },
  passfile: string,
): string {
  const parts = {
    host,
    port,
    user: replication.user,
    passfile,
    application_name: node,
    ...{ connect_timeout: 2, keepalives_idle: 5, keepalives_interval: 2, keepalives_count: 3 },
    tcp_user_timeout: 10_000,
    ...(replicationTls.mode === 'prefer' ? {} : { sslmode: replicationTls.mode }),
    ...(replicationTls.caFile === null ? {} : { sslrootcert: replicationTls.caFile }),
  };
  return Object.entries(parts)
    .map(([name, value]) => `${name}='${String(value).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ');
}

/** `ANY q ("a", "b")`; empty: commits wait for nobody. */
export function anyOf(quorum: number, standbys: readonly string[]): string {
  return quorum === 0 ? '' : `ANY ${quorum} (${standbys.map(quote).join(', ')})`;
}

function replicationRules(
  { user, password }: Login,
  mode: PostgresSettings['replicationTls']['mode'],
): string[] {
  const name = quote(user);
  if (password === null) {
    // Without a password from this machine alone.
    return ['replication', '"postgres"'].flatMap((database) => [
      `local ${database} ${name} trust`,
      `host ${database} ${name} samehost trust`,
    ]);
  }
  const isProtected = mode !== 'disable' && mode !== 'prefer';
  return ['replication', '"postgres"'].flatMap((database) => [
    `local ${database} ${name} scram-sha-256`,
    // Rules of the operator, which come later, must not let it in.
    ...(isProtected ? [`hostnossl ${database} ${name} all reject`] : []),
    `host ${database} ${name} all scram-sha-256`,
  ]);
}

function lines(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).map(([name, value]) => `${name} = ${quoteValue(value)}`);
}

/** In a configuration file. */
function quoteValue(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** A name. */
function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
