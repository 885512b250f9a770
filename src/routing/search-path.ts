/** From a session's setting `search_path` to the schemas along which names are looked for. */
import type { SearchPath } from './catalogue.js';

/** PostgreSQL cuts longer identifiers (NAMEDATALEN), in bytes. */
const NAME_BYTES_MAX = 63;
/** A name in double quotes, where a quote is doubled; or any characters but spaces, commas and quotes. */
const NAME = /\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(,|$)/y;
/** `lower()` of PostgreSQL goes by the encoding for anything else. */
const PLAIN = /^[\x21-\x7e]*$/;

/**
 * The schemas of a setting, as `current_schemas(false)` would list them but for those that don't exist, in which nothing
 * is found either. Null: it can't be told, and the worst of all objects by a name counts (src/backend/utils/adt/varlena.c,
 * SplitIdentifierString).
 *
 * @param user the one whose name `"$user"` stands for: the session's current role
 */
export function schemasOfSetting(setting: string, user: string): SearchPath {
  const schemas: string[] = [];
  if (setting.trim() === '') return schemas;
  NAME.lastIndex = 0;
  for (;;) {
    const found = NAME.exec(setting);
    if (found === null) return null;
    const [, quoted, plain = '', separator] = found;
    if (quoted === undefined && !PLAIN.test(plain)) return null;
    const name = quoted === undefined ? plain.toLowerCase() : quoted.replaceAll('""', '"');
    if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX) return null;
    // What a session has in its temporary schema keeps it on the primary.
    if (name !== 'pg_temp') schemas.push(name === '$user' ? user : name);
    if (separator === '') return schemas;
  }
}
