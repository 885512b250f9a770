/** How a text ends a transaction block, where that is all that it does. */
import { Lexer, TOKEN } from './lexer.js';

/**
 * `commit` and `rollback`: that alone. `other`: it begins so, and there is more to it (AND CHAIN, TO a savepoint, PREPARED,
 * another statement). Null: it does something else.
 */
export type TransactionEnd = 'commit' | 'rollback' | 'other' | null;

const VERBS: ReadonlyMap<string, 'commit' | 'rollback'> = new Map([
  ['commit', 'commit'],
  ['end', 'commit'],
  ['rollback', 'rollback'],
  ['abort', 'rollback'],
]);
/** Words behind the verb that say nothing. */
const NOISE: ReadonlySet<string> = new Set(['work', 'transaction']);

const lexer = new Lexer();

/** Reads the text `bytes[start, end)`. */
export function transactionEnd(bytes: Uint8Array, start: number, end: number): TransactionEnd {
  lexer.begin(bytes, start, end);
  const verb = lexer.next() === TOKEN.WORD ? VERBS.get(word(bytes)) : undefined;
  if (verb === undefined) return null;
  let token = lexer.next();
  if (token === TOKEN.WORD && NOISE.has(word(bytes))) token = lexer.next();
  while (token === TOKEN.SEMICOLON) token = lexer.next();
  return token === TOKEN.END ? verb : 'other';
}

function word(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(lexer.start, lexer.position)).toLowerCase();
}
