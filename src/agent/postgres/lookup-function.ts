/**
 * The role and the function by which gateways look up who logs in (PgBouncer's `auth_query`), so that nothing is restarted after
 * CREATE ROLE or ALTER ROLE. docs/kubernetes.md has them, too, for databases without an agent.
 */
import pg from 'pg';
import type { PostgresSettings } from './postgres-side.js';
import { ensurePassword } from './role-password.js';
import type { Server } from './server.js';

type LookUp = NonNullable<PostgresSettings['auth']>;

const SCHEMA = 'sluice';
const FUNCTION = `${SCHEMA}.user_secret`;
/** Superusers and replication are left out on purpose, and so is who may not log in any more. */
const BODY = `SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END
FROM pg_authid WHERE rolname = name AND rolcanlogin AND NOT rolsuper AND NOT rolreplication`;

/** Makes what is missing, and sets right what differs. On a primary; again and again it changes nothing. */
export async function ensureLookUp(server: Server, { user, password, databases }: LookUp): Promise<void> {
  await ensurePassword(server, user, password, `CREATE ROLE ${pg.escapeIdentifier(user)} LOGIN`);
  for (const database of databases) await ensureFunction(server, database, user);
}

async function ensureFunction(server: Server, database: string, user: string): Promise<void> {
  await server.withConnection({ database }, async (client) => {
    await client.query('BEGIN');
    await requireOwnSchema(client, database);
    if (!(await isMade(client, user))) {
      for (const statement of statements(pg.escapeIdentifier(user))) await client.query(statement);
    }
    await client.query('COMMIT');
  });
}

/** Whoever owns the schema could put another function into its place, and let in whom he likes. */
async function requireOwnSchema(client: pg.Client, database: string): Promise<void> {
  const { rows } = await client.query(
    `SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace
     WHERE nspname = '${SCHEMA}' AND pg_get_userbyid(nspowner) <> current_user`,
  );
  if (rows.length > 0)
    throw new Error(
      `the schema ${SCHEMA} of database ${database} is owned by ${rows[0].owner}: drop it, or give it to the superuser`,
    );
}

/** As the statements below leave it. */
async function isMade(client: pg.Client, user: string): Promise<boolean> {
  const { rows } = await client.query(
    `SELECT prosrc = $1 AND prosecdef AND proconfig = ARRAY['search_path=pg_catalog, pg_temp']
        AND pg_get_userbyid(proowner) = current_user AND provolatile = 's' AND proisstrict
        AND proargnames = ARRAY['name', 'username', 'secret']
        AND has_function_privilege($2, oid, 'EXECUTE') AND has_schema_privilege($2, pronamespace, 'USAGE')
        AND NOT coalesce(proacl::text ~ '[{,]=', true) AS "isMade"
     FROM pg_proc WHERE oid = to_regprocedure('${FUNCTION}(text)')`,
    [BODY, user],
  );
  return rows[0]?.isMade === true;
}

function statements(user: string): string[] {
  return [
    `CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`,
    `REVOKE ALL ON SCHEMA ${SCHEMA} FROM PUBLIC`,
    `DROP FUNCTION IF EXISTS ${FUNCTION}(text)`,
    `CREATE FUNCTION ${FUNCTION}(name text, OUT username text, OUT secret text) LANGUAGE sql STABLE STRICT
       SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${pg.escapeLiteral(BODY)}`,
    `REVOKE ALL ON FUNCTION ${FUNCTION}(text) FROM PUBLIC`,
    `GRANT USAGE ON SCHEMA ${SCHEMA} TO ${user}`,
    `GRANT EXECUTE ON FUNCTION ${FUNCTION}(text) TO ${user}`,
  ];
}
