/**
 * Statements about what all sessions share: lists of tokens, to which tokens are appended. Who reads a list sees which appends
 * its server had by then.
 */
import { literal, unquote } from './select-sql.js';

export type ListStatement =
  /** `isHidden`: in a function that a SELECT calls, so that its text shows no write. */
  | { readonly kind: 'append'; readonly token: string; readonly list: number; readonly isHidden: boolean }
  | { readonly kind: 'read-list'; readonly token: string; readonly list: number };

/** Comments in front of a statement, for who routes it. */
const HINT = /^\/\* sluice: \w+ \*\/ /;
const READ = /^SELECT (\$1|'[^']*'), items FROM lists WHERE id = (\d+)$/;
const APPEND = /^UPDATE lists SET items = items \|\| (\$1|'[^']*') WHERE id = (\d+)$/;
const CALL = /^SELECT append\((\d+), (\$1|'[^']*')\)$/;

/** Null: the text is none of these. */
export function parseList(text: string): ListStatement | null {
  const bare = text.replace(HINT, '');
  let match = READ.exec(bare);
  if (match !== null) return { kind: 'read-list', token: unquote(match[1]!), list: Number(match[2]) };
  match = APPEND.exec(bare);
  if (match !== null) {
    return { kind: 'append', token: unquote(match[1]!), list: Number(match[2]), isHidden: false };
  }
  match = CALL.exec(bare);
  if (match === null) return null;
  return { kind: 'append', token: unquote(match[2]!), list: Number(match[1]), isHidden: true };
}

export const readListText = (list: number, token: string): string =>
  `SELECT ${literal(token)}, items FROM lists WHERE id = ${list}`;

export const appendText = (list: number, token: string): string =>
  `UPDATE lists SET items = items || ${literal(token)} WHERE id = ${list}`;

export const appendCallText = (list: number, token: string): string =>
  `SELECT append(${list}, ${literal(token)})`;
