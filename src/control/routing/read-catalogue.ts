/** Reads what routing must know of a database, over a connection of its own. */
import pg from 'pg';
import type { Catalogue } from '../../routing/catalogue.js';
import {
  CATALOGUE_QUERY,
  CATALOGUE_ROWS_MAX,
  type CataloguePart,
  PIN_SEARCH_PATH,
} from '../../routing/catalogue-queries.js';
import { catalogueRows, loadedCatalogue } from '../../routing/loaded-catalogue.js';

const APPLICATION_NAME = 'sluice routing';

/** A database's facts as of one moment, and the search_path that the user who has asked would have. */
export interface DatabaseFacts {
  readonly catalogue: Catalogue;
  /** Without the implied pg_catalog. */
  readonly searchPath: readonly string[];
}

/**
 * Asks the server at `url`, as libpq writes it.
 *
 * @param timeoutMs for the connection, and for each answer
 * @throws what `pg` throws; and an error if the database has too many objects
 */
export async function readCatalogue(url: string, timeoutMs: number): Promise<DatabaseFacts> {
  const client = new pg.Client({
    connectionString: url,
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  // An error that comes without a query ends the connection; the next query tells of it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const path = await client.query<{ path: string[] }>(
      'SELECT pg_catalog.current_schemas(false)::text[] AS path',
    );
    await client.query(PIN_SEARCH_PATH);
    const { rows } = await client.query<[...CataloguePart]>({ text: CATALOGUE_QUERY, rowMode: 'array' });
    const catalogue = loadedCatalogue(catalogueRows(rows));
    if (catalogue === null) {
      throw new Error(`the database has more than ${CATALOGUE_ROWS_MAX} relations or functions`);
    }
    return { catalogue, searchPath: path.rows[0]?.path ?? [] };
  } finally {
    await client.end().catch(() => undefined);
  }
}
