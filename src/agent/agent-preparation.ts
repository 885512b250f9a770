/** What an agent looks at before it begins: the programs, the data folder, the store. Nothing is changed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Stopped } from '../cluster/inputs.js';
import type { Contact } from '../cluster/records.js';
import type { ClusterSettings } from '../cluster/settings.js';
import type { AgentConfig } from '../config/agent-config.js';
import { parsePlace } from '../config/value-types.js';
import { AgentError } from './agent-error.js';
import { inspectData } from './postgres/initialize.js';
import type { PostgresSettings } from './postgres/postgres-side.js';
import { stateFolder } from './postgres/state-folder.js';
import { findPostgres } from './postgres-binaries.js';
import { chooseServerUser } from './server-user.js';

/** What is known before anything is begun. */
export interface Preparation {
  readonly settings: ClusterSettings;
  readonly postgres: PostgresSettings;
  readonly data: Stopped;
}

/** @throws {AgentError} what an operator has to change first */
export async function prepareAgent(config: AgentConfig): Promise<Preparation> {
  const { node, postgresql } = config;
  const { data } = postgresql;
  const serverUser = await chooseServerUser(data);
  const found = await inspectData({ node, data });
  const binaries = await findPostgres({
    binDirectory: postgresql.bin ?? null,
    wantedMajor: found.data === 'whole' ? await majorOf(data) : null,
    user: serverUser,
    copiesFolder: stateFolder(data),
  });
  const postgres = postgresSettings(config, { binaries, serverUser });
  return { settings: clusterSettings(config), postgres, data: found };
}

/** What PostgreSQL's side goes by, with what was found on this machine. */
export function postgresSettings(
  config: AgentConfig,
  found: Pick<PostgresSettings, 'binaries' | 'serverUser'>,
): PostgresSettings {
  const { node, postgresql } = config;
  const parameters = Object.entries(postgresql.settings).map(([name, value]) => [name, parameterText(value)]);
  return {
    ...{ node, data: postgresql.data, ...found },
    ...{ listen: postgresql.listen, port: postgresql.port, socketFolders: postgresql.socket_dir ?? null },
    ...rolesOf(config),
    configFile: postgresql.config_file ?? null,
    hbaFile: postgresql.hba_file ?? null,
    parameters: Object.fromEntries(parameters),
    clientRules: postgresql.client_rules,
    canaryMs: config.wedgedMs,
  };
}

function rolesOf({
  postgresql,
  ...config
}: AgentConfig): Pick<PostgresSettings, 'superuser' | 'replication' | 'replicationTls' | 'auth'> {
  const { auth_user: user, auth_databases: databases } = postgresql;
  const password = config.authPassword;
  return {
    superuser: { user: postgresql.superuser, password: config.superuserPassword },
    replication: { user: postgresql.replication_user, password: config.replicationPassword },
    replicationTls: {
      mode: postgresql.replication_sslmode,
      caFile: postgresql.replication_ca_file ?? null,
    },
    auth: password === null ? null : { user, password, databases },
  };
}

/** What the machine goes by. */
export function clusterSettings(config: AgentConfig): ClusterSettings {
  const { node, priority, replicateFrom, durability, quorum, timing, postgresql } = config;
  const mayBegin = postgresql.bootstrap !== 'never';
  const contact = contactOf(config);
  return { node, contact, priority, replicateFrom, mayBegin, durability, quorum, timing };
}

function contactOf({ address, postgresql, httpListen, httpTls }: AgentConfig): Contact {
  const http = parsePlace(httpListen);
  const host = address.startsWith('/')
    ? (http?.host ?? '')
    : address.includes(':')
      ? `[${address}]`
      : address;
  const api = http === null ? null : `${httpTls === null ? '' : 'https://'}${host}:${http.port}`;
  return { host: address, port: postgresql.port, api };
}

function parameterText(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}

async function majorOf(data: string): Promise<number | null> {
  const text = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => '');
  const major = Number.parseInt(text, 10);
  return Number.isNaN(major) ? null : major;
}

/** What may be dangerous, and is allowed. */
export function warnOf({ postgres, settings }: Preparation, logger: Logger): void {
  const { parameters, replication } = postgres;
  if (parameters.fsync === 'off') {
    logger.warn(
      'fsync is off: when a machine crashes, acknowledged commits may be lost, and data be damaged',
    );
  }
  if (replication.password === null) {
    logger.warn(
      'no replication_password_file: standbys of this machine alone are let in, without a password',
    );
  }
  if (settings.durability === 'asynchronous') {
    logger.warn('durability is asynchronous: a failover may lose commits that were acknowledged');
  }
}

/** @throws {AgentError} if the data can't be those of this node */
export function refuseData({ data, postgres }: Preparation, bootstrap: string, isNewCluster: boolean): void {
  if (bootstrap === 'adopt' && isNewCluster && data.data !== 'whole') {
    throw new AgentError(`there is nothing to adopt in ${postgres.data}`, [
      'Name the folder of the data, or say "bootstrap: initdb" for new ones.',
    ]);
  }
}
