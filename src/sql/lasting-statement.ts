/**
 * Statements that by their text leave something in their session which outlasts their transaction, or that depend on such
 * a thing: what `session_state = strict` refuses. Off the hot path.
 *
 * Only what is said plainly counts. What DO, CALL, functions of the user's, views and triggers do can't be read, and what
 * takes something back (RESET, UNLISTEN, DISCARD, unlocking) leaves nothing.
 */
import { lastingCall } from './lasting-calls.js';
import type { LastingStatement, MayBeSet } from './lasting-effect.js';
import { lastingSetting } from './lasting-settings.js';
import { TOKEN } from './lexer.js';
import { type Token, tokensOf, wordAt } from './tokens.js';

/** Statements in which a function that is named is called. */
const CALLING = new Set(
  'select values table with insert update delete merge copy call execute declare fetch'.split(' '),
);

/**
 * The first such statement in `bytes[start, end)`; null: there is none, or the text can't be read for certain.
 *
 * @param standardStrings as for `sessionEffects`.
 */
export function lastingStatement(
  bytes: Uint8Array,
  start: number,
  end: number,
  { standardStrings, mayBeSet }: { readonly standardStrings: boolean; readonly mayBeSet: MayBeSet },
): LastingStatement | null {
  for (const statement of statementsOf(tokensOf(bytes, start, end, standardStrings) ?? [])) {
    const found = inStatement(statement, mayBeSet);
    if (found !== null) return found;
  }
  return null;
}

function statementsOf(tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === TOKEN.OPEN) depth += 1;
    else if (token.kind === TOKEN.CLOSE) depth -= 1;
    if (token.kind === TOKEN.SEMICOLON && depth === 0) statements.push([]);
    else statements.at(-1)!.push(token);
  }
  const bodyAt = statements.findIndex(hasBody);
  return bodyAt < 0 ? statements : statements.slice(0, bodyAt + 1);
}

/** `CREATE FUNCTION ... BEGIN ATOMIC ...; ... END`: the semicolons within don't end it. */
function hasBody(statement: readonly Token[]): boolean {
  if (wordAt(statement, 0) !== 'create') return false;
  return statement.some(
    (_, at) => wordAt(statement, at) === 'begin' && wordAt(statement, at + 1) === 'atomic',
  );
}

function inStatement(tokens: readonly Token[], mayBeSet: MayBeSet): LastingStatement | null {
  const at = beginningOf(tokens);
  const verb = wordAt(tokens, at);
  switch (verb) {
    case 'set':
      return lastingSetting(tokens, at + 1, mayBeSet);
    case 'listen':
      return { kind: 'listening', command: 'LISTEN' };
    case 'load':
      return { kind: 'library', command: 'LOAD' };
    case 'prepare':
      return preparing(tokens, at + 1);
    case 'create':
      return creating(tokens, at + 1);
    case 'declare':
      return declaring(tokens, at + 1) ?? lastingCall(tokens, at, mayBeSet);
  }
  if (!CALLING.has(verb)) return null;
  return selectingInto(tokens, at) ?? lastingCall(tokens, at, mayBeSet);
}

/** Behind EXPLAIN with its options, and parentheses. */
function beginningOf(tokens: readonly Token[]): number {
  let at = 0;
  if (wordAt(tokens, at) === 'explain') {
    at += 1;
    while (['analyze', 'analyse', 'verbose'].includes(wordAt(tokens, at))) at += 1;
    const isList = tokens[at]?.kind === TOKEN.OPEN && !isQuery(tokens, at + 1);
    if (isList) at = tokens.findIndex((token, i) => i > at && token.kind === TOKEN.CLOSE) + 1;
  }
  while (tokens[at]?.kind === TOKEN.OPEN) at += 1;
  return at;
}

function isQuery(tokens: readonly Token[], at: number): boolean {
  return (
    tokens[at]?.kind === TOKEN.OPEN || ['select', 'values', 'table', 'with'].includes(wordAt(tokens, at))
  );
}

/** `PREPARE name`; `PREPARE TRANSACTION 'id'` is another command. */
function preparing(tokens: readonly Token[], at: number): LastingStatement | null {
  const isTransaction = wordAt(tokens, at) === 'transaction' && tokens[at + 1]?.kind === TOKEN.LITERAL;
  return isTransaction ? null : { kind: 'prepared statement', command: 'PREPARE' };
}

function declaring(tokens: readonly Token[], at: number): LastingStatement | null {
  const query = tokens.findIndex((_, i) => i > at && wordAt(tokens, i) === 'for');
  const isHeld = tokens.some(
    (_, i) => i < query && wordAt(tokens, i) === 'with' && wordAt(tokens, i + 1) === 'hold',
  );
  return isHeld ? { kind: 'cursor', command: 'DECLARE ... WITH HOLD' } : null;
}

const TEMPORARY = new Set(['temp', 'temporary']);
const SCOPES = new Set(['local', 'global']);

/** `SELECT ... INTO TEMP name`; a table may be called temp, too. */
function selectingInto(tokens: readonly Token[], from: number): LastingStatement | null {
  for (let at = from + 1; at < tokens.length; at += 1) {
    if (wordAt(tokens, at) !== 'into' || ['insert', 'merge'].includes(wordAt(tokens, at - 1))) continue;
    const kindAt = SCOPES.has(wordAt(tokens, at + 1)) ? at + 2 : at + 1;
    const isNamed = isName(tokens[kindAt + 1]) && wordAt(tokens, kindAt + 1) !== 'from';
    const isTemporary =
      (TEMPORARY.has(wordAt(tokens, kindAt)) && isNamed) || isInTemporarySchema(tokens, at + 1);
    if (isTemporary) return { kind: 'temporary object', command: 'SELECT INTO TEMPORARY TABLE' };
  }
  return null;
}

/** What may stand between CREATE and the name of what is created. */
const BEFORE_NAME = new Set(
  `or replace unlogged recursive view table sequence function procedure aggregate type domain operator if not
   exists`.split(/\s+/),
);

/** A temporary object, by its kind or by its schema, that does not go with the transaction. */
function creating(tokens: readonly Token[], from: number): LastingStatement | null {
  let at = from;
  if (wordAt(tokens, at) === 'or' && wordAt(tokens, at + 1) === 'replace') at += 2;
  if (SCOPES.has(wordAt(tokens, at))) at += 1;
  const isTemporary = TEMPORARY.has(wordAt(tokens, at));
  if (isTemporary) at += 1;
  const made = wordAt(tokens, at) === 'recursive' ? 'view' : wordAt(tokens, at);
  while (BEFORE_NAME.has(wordAt(tokens, at))) at += 1;
  if (!isTemporary && !isInTemporarySchema(tokens, at)) return null;
  if (made === 'table' && dropsOnCommit(tokens, at)) return null;
  return { kind: 'temporary object', command: `CREATE TEMPORARY ${made.toUpperCase()}` };
}

function isName(token: Token | undefined): boolean {
  return token?.kind === TOKEN.WORD || token?.kind === TOKEN.QUOTED;
}

function isInTemporarySchema(tokens: readonly Token[], at: number): boolean {
  return isName(tokens[at]) && tokens[at]!.text === 'pg_temp' && tokens[at + 1]?.kind === TOKEN.DOT;
}

function dropsOnCommit(tokens: readonly Token[], from: number): boolean {
  return tokens.some((_, at) => {
    const words = [wordAt(tokens, at), wordAt(tokens, at + 1), wordAt(tokens, at + 2)];
    return at >= from && words.join(' ') === 'on commit drop';
  });
}
