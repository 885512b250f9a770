/** The values of PgBouncer's sections `[databases]`, `[users]` and `[peers]`: `host=h1 password='it''s' pool_size=5`. */

/** One `key=value`. */
export interface ConnectionPair {
  readonly key: string;
  readonly value: string;
}

/** What is wrong with a connection string: a sentence that shows no value. */
export class ConnectionStringError extends Error {}

/**
 * Splits a connection string into its pairs, in order. A value ends at the next space, or is in single quotes, of
 * which two stand for one. There is no empty value.
 * @throws {ConnectionStringError}
 */
export function parseConnectionString(text: string): ConnectionPair[] {
  const pairs: ConnectionPair[] = [];
  const token = /\s*(?:([^\s=]+)\s*=\s*(?:'((?:[^']|'')*)'|([^\s']\S*)?))?/y;
  while (/\S/.test(text.slice(token.lastIndex))) {
    const start = token.lastIndex;
    const [, key, quoted, plain] = token.exec(text) ?? [];
    if (key === undefined) {
      const rest = text.slice(start).trim();
      throw new ConnectionStringError(
        rest.startsWith('=')
          ? 'a = has no key before it'
          : `expected key=value pairs, as in host=127.0.0.1 port=5432`,
      );
    }
    const value = quoted === undefined ? (plain ?? '') : quoted.replaceAll("''", "'");
    if (value === '') {
      const isOpen = quoted === undefined && text.slice(token.lastIndex).startsWith("'");
      throw new ConnectionStringError(
        isOpen ? `the value of ${key} has a quote that is not closed` : `the value of ${key} is empty`,
      );
    }
    pairs.push({ key, value });
  }
  return pairs;
}
