/** Passwords of roles that the agent keeps. They stand in no statement, and so in no log: verifiers do. */
import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import pg from 'pg';
import { deriveVerifier } from '../../config/gateway-settings.js';
import {
  formatScramVerifier,
  parseScramVerifier,
  SCRAM_KEY_BYTES,
  saslPrep,
  verifySaltedPassword,
} from '../../wire/scram.js';
import type { Server } from './server.js';

const derive = promisify(pbkdf2);
/** PostgreSQL's own count. */
const SCRAM_ITERATIONS = 4096;

/** ` PASSWORD '...'`, as CREATE ROLE and ALTER ROLE take it. */
export async function passwordClause(password: string): Promise<string> {
  const verifier = formatScramVerifier(await deriveVerifier(password, SCRAM_ITERATIONS));
  return ` PASSWORD ${pg.escapeLiteral(verifier)}`;
}

/** Whether a role logs in with this password. Null: there is no such role. */
export async function hasPassword(server: Server, role: string, password: string): Promise<boolean | null> {
  const [row] = await server.query<{ secret: string | null }>(
    'SELECT rolpassword AS secret FROM pg_authid WHERE rolname = $1',
    [role],
  );
  if (row === undefined) return null;
  const verifier = row.secret === null ? null : parseScramVerifier(row.secret);
  if (verifier === null) return false;
  const { salt, iterations } = verifier;
  const salted = await derive(saslPrep(password), salt, iterations, SCRAM_KEY_BYTES, 'sha256');
  return verifySaltedPassword(verifier, salted);
}

/** Gives it the password. */
export async function setPassword(server: Server, role: string, password: string): Promise<void> {
  await change(server, `ALTER ROLE ${pg.escapeIdentifier(role)}${await passwordClause(password)}`);
}

/** It may wait for a lock. */
async function change(server: Server, statement: string): Promise<void> {
  await server.withConnection({}, (client) => client.query(statement));
}

/** Makes the role where it isn't there, by a statement that the password is added to, and sets the password where it differs. */
export async function ensurePassword(
  server: Server,
  role: string,
  password: string,
  create: string,
): Promise<void> {
  const has = await hasPassword(server, role, password);
  if (has === null) await change(server, create + (await passwordClause(password)));
  else if (!has) await setPassword(server, role, password);
}
