/**
 * Reads the commands with which SQL itself prepares statements (documentation: PREPARE, EXECUTE, DEALLOCATE, DISCARD,
 * EXPLAIN, CREATE TABLE AS), so that the names in them can be told, and replaced, without touching anything else.
 */
import { decodeText } from '../wire/text.js';
import { Lexer, TOKEN } from './lexer.js';

/** PostgreSQL cuts longer identifiers (NAMEDATALEN - 1). */
const NAME_BYTES_MAX = 63;
const OTHER_THAN_ASCII = /[\u0080-\uffff]/;

export type PreparedStatementVerb =
  | 'prepare'
  | 'execute'
  | 'deallocate'
  | 'deallocate all'
  | 'discard all'
  | 'discard plans'
  | 'discard sequences'
  | 'discard temp';

/** The name of a prepared statement in a text. */
export interface StatementName {
  /** As PostgreSQL knows it: folded, cut, without quotes. */
  readonly text: string;
  /** The name's bytes in the text are those from `start` to `end`, its quotes among them. */
  readonly start: number;
  readonly end: number;
}

/** What one such command says. */
export interface PreparedStatementCommand {
  readonly verb: PreparedStatementVerb;
  /** Null for DISCARD and DEALLOCATE ALL. */
  readonly name: StatementName | null;
  /** PREPARE: where the statement begins that is prepared; else -1. */
  readonly bodyStart: number;
  /** A quote behind a backslash was read as with `standard_conforming_strings = on`. */
  readonly doubtful: boolean;
}

const DISCARDED: Readonly<Record<string, PreparedStatementVerb>> = {
  all: 'discard all',
  plans: 'discard plans',
  sequences: 'discard sequences',
  temp: 'discard temp',
  temporary: 'discard temp',
};
/** What may stand between CREATE and TABLE. */
const KINDS_OF_TABLE = new Set(['global', 'local', 'temp', 'temporary', 'unlogged']);

type Command = Omit<PreparedStatementCommand, 'doubtful'>;

/** Steps over the tokens of a text. */
export class Cursor {
  readonly #lexer = new Lexer();
  token: number = TOKEN.END;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#lexer.begin(bytes, start, end);
    this.next();
  }

  get start(): number {
    return this.#lexer.start;
  }

  get doubtful(): boolean {
    return this.#lexer.doubtful;
  }

  next(): void {
    this.token = this.#lexer.next();
  }

  /** The word at hand in lower case; empty if there is none. */
  get word(): string {
    return this.token === TOKEN.WORD ? lowerCase(this.#text()) : '';
  }

  /** Steps over `word` if it is at hand. */
  take(word: string): boolean {
    const taken = this.word === word;
    if (taken) this.next();
    return taken;
  }

  /** Steps over a parenthesis with all that is in it, if one is at hand. */
  takeParenthesis(): void {
    if (this.token !== TOKEN.OPEN) return;
    let depth = 0;
    do {
      if (this.token === TOKEN.OPEN) depth += 1;
      else if (this.token === TOKEN.CLOSE) depth -= 1;
      this.next();
    } while (depth > 0 && !this.isOver);
  }

  /** True at the end of a statement. */
  get isOver(): boolean {
    return this.token === TOKEN.END || this.token === TOKEN.SEMICOLON || this.token === TOKEN.UNCERTAIN;
  }

  /** Steps over a name; null if there is none, or none that is certain. */
  takeName(): StatementName | null {
    const { start, position } = this.#lexer;
    const name = this.#nameText();
    if (name === null) return null;
    this.next();
    return { text: name, start, end: position };
  }

  /** Steps over the rest of the statement; true if no other one follows. */
  takeAll(): boolean {
    while (!this.isOver) this.next();
    while (this.token === TOKEN.SEMICOLON) this.next();
    return this.token === TOKEN.END;
  }

  #text(): string {
    return decodeText(this.#lexer.bytes, this.#lexer.start, this.#lexer.position);
  }

  #nameText(): string | null {
    if (this.token !== TOKEN.WORD && this.token !== TOKEN.QUOTED) return null;
    const text = this.#text();
    const isAscii = !OTHER_THAN_ASCII.test(text);
    // How the letters of other scripts fold, and where a long name is cut, depends on the server's encoding.
    if (this.token === TOKEN.WORD) return isAscii ? lowerCase(text).slice(0, NAME_BYTES_MAX) : null;
    const name = text.slice(1, -1).replaceAll('""', '"');
    if (name === '' || (!isAscii && Buffer.byteLength(name) > NAME_BYTES_MAX)) return null;
    return isAscii ? name.slice(0, NAME_BYTES_MAX) : name;
  }
}

function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * Reads a text that consists of one command about prepared statements: PREPARE, EXECUTE (also in EXPLAIN and CREATE
 * TABLE AS), DEALLOCATE, DISCARD. Null for every other text, for several statements, and where a name can't be known
 * for certain (U&"...", an unquoted one of other than ASCII letters): there such a command may still be.
 */
export function readPreparedStatementCommand(
  bytes: Uint8Array,
  start: number,
  end: number,
): PreparedStatementCommand | null {
  const cursor = new Cursor(bytes, start, end);
  while (cursor.token === TOKEN.SEMICOLON) cursor.next();
  const command = readCommand(cursor);
  if (command === null || !cursor.takeAll()) return null;
  return { ...command, doubtful: cursor.doubtful };
}

function readCommand(cursor: Cursor): Command | null {
  if (cursor.take('prepare')) return readPrepare(cursor);
  if (cursor.take('execute')) return named('execute', cursor.takeName());
  if (cursor.take('deallocate')) return readDeallocate(cursor);
  if (cursor.take('explain')) return readExplain(cursor);
  if (cursor.take('create')) return readCreateTable(cursor);
  if (!cursor.take('discard')) return null;
  const verb = Object.hasOwn(DISCARDED, cursor.word) ? DISCARDED[cursor.word] : undefined;
  cursor.next();
  return verb === undefined ? null : alone({ verb, name: null, bodyStart: -1 }, cursor);
}

function named(verb: PreparedStatementVerb, name: StatementName | null): Command | null {
  return name === null ? null : { verb, name, bodyStart: -1 };
}

/** The command if nothing follows it in its statement. */
function alone(command: Command | null, cursor: Cursor): Command | null {
  return cursor.isOver ? command : null;
}

/** `name [(types)] AS statement`; `TRANSACTION 'id'` is another command. */
function readPrepare(cursor: Cursor): Command | null {
  const name = cursor.takeName();
  cursor.takeParenthesis();
  if (name === null || !cursor.take('as')) return null;
  return { verb: 'prepare', name, bodyStart: cursor.start };
}

/** `[PREPARE] name | ALL`; a statement may be called prepare, too. */
function readDeallocate(cursor: Cursor): Command | null {
  let name = cursor.word === 'all' ? null : cursor.takeName();
  if (name?.text === 'prepare' && !cursor.isOver) name = cursor.word === 'all' ? null : cursor.takeName();
  if (name !== null) return alone(named('deallocate', name), cursor);
  return cursor.take('all') ? alone({ verb: 'deallocate all', name: null, bodyStart: -1 }, cursor) : null;
}

/** `[ANALYZE] [VERBOSE] [(options)]` and what is explained. */
function readExplain(cursor: Cursor): Command | null {
  while (cursor.take('analyze') || cursor.take('analyse') || cursor.take('verbose')) {}
  cursor.takeParenthesis();
  if (cursor.take('execute')) return named('execute', cursor.takeName());
  return cursor.take('create') ? readCreateTable(cursor) : null;
}

/**
 * `[kind] TABLE name ... AS EXECUTE name`: the first AS outside of parentheses, but for one that is a name behind a
 * dot.
 */
function readCreateTable(cursor: Cursor): Command | null {
  while (KINDS_OF_TABLE.has(cursor.word)) cursor.next();
  if (!cursor.take('table')) return null;
  let afterDot = false;
  while (!cursor.isOver) {
    if (!afterDot && cursor.take('as')) {
      return cursor.take('execute') ? named('execute', cursor.takeName()) : null;
    }
    afterDot = cursor.token === TOKEN.DOT;
    if (cursor.token === TOKEN.OPEN) cursor.takeParenthesis();
    else cursor.next();
  }
  return null;
}
