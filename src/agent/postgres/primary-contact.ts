/** How the agent of a standby speaks with the primary: as the replication role, as protected as its standby's stream is. */
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { Contact } from '../../cluster/records.js';
import { type OwnConnectionSettings, withOwn } from './own-connection.js';
import type { PostgresSettings } from './postgres-side.js';
import type { Server } from './server.js';

/** How the replication role's connections are protected. */
export type ReplicationTls = PostgresSettings['replicationTls'];

/** False: not at all. `prefer` is for streams alone, which fall back by themselves. */
export function tlsOptions({ mode, caFile }: ReplicationTls, host: string): false | ConnectionOptions {
  if (mode === 'disable' || mode === 'prefer') return false;
  if (mode === 'require') return { rejectUnauthorized: false };
  const ca = readFileSync(caFile!);
  // An address stands in no servername, so it would not be looked at by itself.
  const identity = (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
    mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined;
  return { ca, checkServerIdentity: identity };
}

/** Where, as whom, and how. */
export function reachPrimary(server: Server, { host, port }: Contact): OwnConnectionSettings {
  return { host, port, login: server.replication, ssl: tlsOptions(server.settings.replicationTls, host) };
}

/**
 * Takes a new password of the replication role into use if the primary takes it already.
 * @returns whether it does
 */
export async function tryNextSecret(server: Server, contact: Contact): Promise<boolean> {
  const { secret } = server;
  const { next } = secret;
  if (next === null) return false;
  const reach = reachPrimary(server, contact);
  const login = { user: reach.login.user, password: next };
  const isTaken = await withOwn({ ...reach, login }, async () => true).catch(() => false);
  if (!isTaken || secret.next !== next) return false;
  secret.adopt();
  await server.prepare();
  server.logger.info('the new replication password is in use');
  return true;
}
