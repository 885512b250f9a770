/** What this program is, and for which PgBouncer it can stand in. */
import { readFileSync } from 'node:fs';

/** The version in package.json. */
export const SLUICE_VERSION: string = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** The first line of `sluice pgbouncer --version`, and the answer to SHOW VERSION: tools parse `PgBouncer x.y.z`. */
export const PGBOUNCER_VERSION = `PgBouncer 1.25.2 (Sluice ${SLUICE_VERSION})`;
