/**
 * The words that matter for what a statement does: what each is to the tokens around it (its role), what it does as a
 * function, and what it is where a statement begins (its verb). One open-addressing hash table, made at start.
 *
 * PostgreSQL's classes of keywords (documentation, "SQL Key Words"; pg_get_keywords()) decide what can't be the name
 * of a function: reserved words, and those that are "non-reserved (cannot be function or type)".
 */
import { REVIEWED_VOLATILE_FUNCTIONS, STEADY_FUNCTIONS, UNSEEN_FUNCTIONS } from './builtin-functions.js';
import { foldedByte, hashStep } from './lexer.js';

/** What a token is to its neighbours. Roles from EXPRESSION_END on may end an expression; from NAME on they are names. */
export const ROLE = {
  /** An operator; also what stands before the first token. */
  OPERATOR: 0,
  COMMA: 1,
  OPEN: 2,
  DOT: 3,
  CAST: 4,
  /** A keyword in front of an expression, and not the name of a function. */
  STARTER: 5,
  WITH: 6,
  AS: 7,
  INTO: 8,
  ON: 9,
  DISTINCT: 10,
  WHERE: 11,
  NOT: 12,
  /** Not the name of a function: a parenthesis behind it means something else. */
  KEYWORD: 13,
  /** SELECT, VALUES, TABLE */
  QUERY: 14,
  /** A literal, a number, a parameter, a bracket. */
  EXPRESSION_END: 15,
  CLOSE: 16,
  TRUE: 17,
  /** GROUP, ORDER, and names of types: they stand before a POSTFIX. */
  PHRASE: 18,
  /** An unquoted identifier, or a keyword that is nothing more here. */
  NAME: 19,
  QUOTED: 20,
  PG_CATALOG: 21,
  /** UPDATE, DELETE */
  MODIFY: 22,
  INSERT: 23,
  MERGE: 24,
  EXECUTE: 25,
  HOLD: 26,
  CONFLICT: 27,
  /** A name follows it, which isn't called: ORDINALITY, PREPARE, RECURSIVE, TABLESAMPLE. */
  NAMING: 28,
  /** Behind an expression or a PHRASE a keyword (`OVER (...)`), elsewhere a name. */
  POSTFIX: 29,
} as const;

/** What a function of pg_catalog leaves behind its transaction. */
export const FUNCTION = {
  UNKNOWN: 0,
  HARMLESS: 1,
  SET_CONFIG: 2,
  /** nextval, setval */
  SEQUENCE_SET: 3,
  /** currval, lastval */
  SEQUENCE_READ: 4,
  UNSEEN: 5,
  /** pg_notify */
  NOTIFY: 6,
  /** pg_listening_channels */
  CHANNELS: 7,
} as const;

/** What a word is where a statement begins, and at the few places behind that. */
export const VERB = {
  UNKNOWN: 0,
  HARMLESS: 1,
  /** SELECT, VALUES, TABLE, WITH: these may stand in parentheses. */
  QUERY: 2,
  SET: 3,
  RESET: 4,
  DISCARD: 5,
  LISTEN: 6,
  LOAD: 7,
  PREPARE: 8,
  DEALLOCATE: 9,
  EXECUTE: 10,
  EXPLAIN: 11,
  COPY: 12,
  DECLARE: 13,
  /** CLOSE: of a cursor that may have outlived its transaction. */
  CLOSE: 14,
  VACUUM: 15,
  /** A statement, or a word behind EXPLAIN. */
  ANALYZE: 16,
  /** A word behind EXPLAIN. */
  VERBOSE: 17,
  /** Behind SET: not beyond the transaction. */
  LOCAL: 18,
  TRANSACTION: 19,
  SESSION: 20,
  ALL: 21,
  PLANS: 22,
  /** What tells `SELECT ... INTO` from an INSERT. */
  TEMPORARY: 23,
  /** `SET seed`: what setseed() sets, and pg_settings doesn't show. */
  SEED: 24,
  NOTIFY: 25,
  /** COMMIT, END. */
  COMMIT: 26,
} as const;

const WORDS_OF_ROLE: readonly (readonly [role: number, words: string])[] = [
  [
    ROLE.STARTER,
    `all any array asymmetric between both case check collate default do else except fetch for from having in intersect
     lateral leading limit offset only or and placing returning some symmetric then to trailing union using variadic
     when window`,
  ],
  [
    ROLE.KEYWORD,
    `analyse analyze asc cast coalesce column constraint create current_catalog current_date current_role current_time
     current_timestamp current_user deferrable desc end exists extract false foreign grant greatest initially json
     json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table
     json_value least localtime localtimestamp merge_action normalize null nullif overlay position primary references row
     session_user substring system_user treat trim unique user xmlattributes xmlconcat xmlelement xmlexists xmlforest
     xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`,
  ],
  [
    ROLE.PHRASE,
    `bigint bit boolean char character dec decimal float group grouping int integer interval national nchar numeric order precision
     real smallint time timestamp varchar`,
  ],
  [
    ROLE.POSTFIX,
    `by columns content document escape filter first groups ilike join key like operator over passing range repeatable rows
     second set sets value varying zone`,
  ],
  [ROLE.QUERY, 'select table values'],
  [ROLE.MODIFY, 'delete update'],
  [ROLE.INSERT, 'insert'],
  [ROLE.MERGE, 'merge'],
  [ROLE.NAMING, 'ordinality prepare recursive tablesample'],
  [ROLE.WITH, 'with'],
  [ROLE.AS, 'as'],
  [ROLE.INTO, 'into'],
  [ROLE.ON, 'on'],
  [ROLE.DISTINCT, 'distinct'],
  [ROLE.WHERE, 'where'],
  [ROLE.NOT, 'not'],
  [ROLE.TRUE, 'true'],
  [ROLE.PG_CATALOG, 'pg_catalog'],
  [ROLE.CONFLICT, 'conflict'],
  [ROLE.HOLD, 'hold'],
  [ROLE.EXECUTE, 'execute'],
];

const WORDS_OF_FUNCTION: readonly (readonly [kind: number, words: string])[] = [
  [FUNCTION.HARMLESS, STEADY_FUNCTIONS],
  [FUNCTION.HARMLESS, REVIEWED_VOLATILE_FUNCTIONS],
  [FUNCTION.UNSEEN, UNSEEN_FUNCTIONS],
  [FUNCTION.SET_CONFIG, 'set_config'],
  [FUNCTION.SEQUENCE_SET, 'nextval setval'],
  [FUNCTION.SEQUENCE_READ, 'currval lastval'],
  [FUNCTION.NOTIFY, 'pg_notify'],
  [FUNCTION.CHANNELS, 'pg_listening_channels'],
];

const WORDS_OF_VERB: readonly (readonly [verb: number, words: string])[] = [
  [
    VERB.HARMLESS,
    `abort begin checkpoint delete fetch insert lock merge move release rollback savepoint show start
     truncate update`,
  ],
  [VERB.COMMIT, 'commit end'],
  [VERB.QUERY, 'select table values with'],
  [VERB.SET, 'set'],
  [VERB.RESET, 'reset'],
  [VERB.DISCARD, 'discard'],
  [VERB.LISTEN, 'listen unlisten'],
  [VERB.NOTIFY, 'notify'],
  [VERB.LOAD, 'load'],
  [VERB.PREPARE, 'prepare'],
  [VERB.DEALLOCATE, 'deallocate'],
  [VERB.EXECUTE, 'execute'],
  [VERB.EXPLAIN, 'explain'],
  [VERB.COPY, 'copy'],
  [VERB.DECLARE, 'declare'],
  [VERB.CLOSE, 'close'],
  [VERB.VACUUM, 'vacuum'],
  [VERB.ANALYZE, 'analyse analyze'],
  [VERB.VERBOSE, 'verbose'],
  [VERB.LOCAL, 'constraints local'],
  [VERB.TRANSACTION, 'transaction'],
  [VERB.SESSION, 'session'],
  [VERB.ALL, 'all'],
  [VERB.PLANS, 'plans'],
  [VERB.TEMPORARY, 'global temp temporary'],
  [VERB.SEED, 'seed'],
];

/** A power of two, several times the number of words, so that one look shows that a word is in no list. */
const SLOTS = 8192;
/** By slot: the hash, which no word has as 0, and what is known of the word. */
const hashes = new Int32Array(SLOTS);
/** Where the word's text stands in `letters`, and how long it is. */
const offsets = new Uint16Array(SLOTS);
const lengths = new Uint8Array(SLOTS);
const letters = new Uint8Array(1 << 15);
let lettersUsed = 0;
const roles = new Uint8Array(SLOTS).fill(ROLE.NAME);
const functions = new Uint8Array(SLOTS);
const verbs = new Uint8Array(SLOTS);

/** The slot of no word: its role is NAME, its function and verb unknown. */
export const NO_WORD = SLOTS - 1;

function slotOf(hash: number): number {
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  return slot === NO_WORD ? 0 : slot;
}

function nextSlot(slot: number): number {
  return slot === NO_WORD - 1 ? 0 : slot + 1;
}

function add(word: string): number {
  let hash = 0;
  for (let at = 0; at < word.length; at += 1) hash = hashStep(hash, word.charCodeAt(at));
  letters.set(Buffer.from(word, 'latin1'), lettersUsed);
  let slot = slotOf(hash);
  while (hashes[slot] !== 0) {
    if (hashes[slot] === hash && sameWord(slot, letters, lettersUsed, lettersUsed + word.length)) return slot;
    slot = nextSlot(slot);
  }
  hashes[slot] = hash;
  offsets[slot] = lettersUsed;
  lengths[slot] = word.length;
  lettersUsed += word.length;
  return slot;
}

function fill(table: Uint8Array, lists: readonly (readonly [kind: number, words: string])[]): void {
  for (const [kind, words] of lists) {
    for (const word of words.trim().split(/\s+/)) table[add(word)] = kind;
  }
}

fill(roles, WORDS_OF_ROLE);
fill(functions, WORDS_OF_FUNCTION);
fill(verbs, WORDS_OF_VERB);

function sameWord(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (lengths[slot] !== length) return false;
  const offset = offsets[slot]!;
  for (let at = 0; at < length; at += 1) {
    if (foldedByte(bytes[start + at]!) !== letters[offset + at]) return false;
  }
  return true;
}

/** The slot of an unquoted word, in whatever case, by its hash (see `Lexer.hash`); NO_WORD if it is in no list. */
export function findWord(bytes: Uint8Array, start: number, end: number, hash: number): number {
  let slot = slotOf(hash);
  let found = hashes[slot]!;
  while (found !== 0) {
    if (found === hash && sameWord(slot, bytes, start, end)) return slot;
    slot = nextSlot(slot);
    found = hashes[slot]!;
  }
  return NO_WORD;
}

/** The slot of a quoted identifier, from inside its quotes; NO_WORD if it is in no list, or not in lower case. */
export function findQuoted(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at]!;
    if (foldedByte(byte) !== byte || byte === 0) return NO_WORD;
    hash = hashStep(hash, byte);
  }
  return findWord(bytes, start, end, hash);
}

/** The word's role, of {@link ROLE}. */
export function roleOf(slot: number): number {
  return roles[slot]!;
}

/** What the word is as a function, of {@link FUNCTION}. */
export function functionOf(slot: number): number {
  return functions[slot]!;
}

/** What the word is where a statement begins, of {@link VERB}. */
export function verbOf(slot: number): number {
  return verbs[slot]!;
}
