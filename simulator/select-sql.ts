/** The queries that return rows: SELECT with a token, so much filling, and time that it takes. */

/** `$1` in place of a token: the value comes with Bind. */
export const PARAMETER = '$1';

export interface Select {
  readonly kind: 'select';
  readonly token: string;
  /** Tells statements apart in what they return. */
  readonly variant: number;
  readonly rows: number;
  /** Bytes of filling per row. */
  readonly size: number;
  readonly sleepMs: number;
}

const SELECT =
  /^SELECT (\$1|'[^']*'), (\d+), fill\((\d+)\)(?:, pg_sleep\((\d+)\))? FROM generate_series\(1, (\d+)\)$/;

/** A query that returns rows; null when the text is none. */
export function parseSelect(text: string): Select | null {
  const match = SELECT.exec(text);
  if (match === null) return null;
  return {
    kind: 'select',
    token: unquote(match[1]!),
    variant: Number(match[2]),
    size: Number(match[3]),
    sleepMs: Number(match[4] ?? 0),
    rows: Number(match[5]),
  };
}

/** The token in a literal, or {@link PARAMETER}. */
export function unquote(text: string): string {
  return text === PARAMETER ? PARAMETER : text.slice(1, -1);
}

/** As {@link unquote} reads it. */
export const literal = (token: string): string => (token === PARAMETER ? PARAMETER : `'${token}'`);

export function selectText(select: Omit<Select, 'kind'>): string {
  const sleep = select.sleepMs > 0 ? `, pg_sleep(${select.sleepMs})` : '';
  return `SELECT ${literal(select.token)}, ${select.variant}, fill(${select.size})${sleep} FROM generate_series(1, ${select.rows})`;
}
