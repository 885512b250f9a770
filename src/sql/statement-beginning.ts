/**
 * How a statement begins: its verb, and the few tokens behind it that decide what it leaves in its session. Also the
 * token behind INTO, which tells a table that is made from one that gets rows.
 */
import { type Lexer, TOKEN } from './lexer.js';
import { SessionEffect } from './session-effect.js';
import { VERB, verbOf } from './words.js';

/** Where in a statement the next token stands, as far as that needs care. */
const STAGE = {
  BODY: 0,
  BEGINNING: 1,
  EXPLAIN: 2,
  EXPLAIN_PARENTHESIS: 3,
  EXPLAIN_OPTIONS: 4,
  SET: 5,
  /**
   * Behind `SET LOCAL`, `SET TRANSACTION`, `SET CONSTRAINTS`, which may also be the first part of a setting's name.
   */
  SET_LOCAL: 6,
  SETTING_NAME: 7,
  SETTING_REST: 8,
  PREPARE: 9,
  PREPARE_TRANSACTION: 10,
  DISCARD: 11,
  COPY: 12,
  INTO: 13,
} as const;

const DOT_BYTE = 0x2e;

/** A state machine over the first tokens of each statement; it rests in most others. */
export class StatementBeginning {
  /** Bits of `SessionEffect`, of all statements since {@link StatementBeginning.clear}. */
  effects = 0;
  /** True while the next token must be shown to {@link StatementBeginning.read}. */
  waits = true;
  /** The names in front of the statement's parentheses are tables and options: COPY, VACUUM, ANALYZE. */
  callsNothing = false;
  /** The statement is a DECLARE of a cursor. */
  declares = false;
  readonly #lexer: Lexer;
  #stage: number = STAGE.BEGINNING;

  constructor(lexer: Lexer) {
    this.#lexer = lexer;
  }

  /** A text begins. */
  clear(): void {
    this.effects = 0;
    this.beginStatement();
  }

  /** A statement begins. */
  beginStatement(): void {
    this.#stage = STAGE.BEGINNING;
    this.waits = true;
    this.callsNothing = false;
    this.declares = false;
  }

  /** `INSERT INTO` has been read. */
  expectTarget(): void {
    this.#stage = STAGE.INTO;
    this.waits = true;
  }

  /**
   * Looks at the token that the lexer has found, `depth` parentheses deep; `word` is its slot. True: from this token
   * on the text is like that of a statement of its own.
   */
  read(token: number, word: number, depth: number): boolean {
    const stage = this.#stage;
    this.#stage = this.#next(token, verbOf(word), depth);
    this.waits = this.#stage !== STAGE.BODY;
    return stage === STAGE.EXPLAIN || stage === STAGE.COPY;
  }

  /** Looks at a token that stands where {@link STAGE} says; returns the stage of the next one. */
  #next(token: number, verb: number, depth: number): number {
    switch (this.#stage) {
      case STAGE.BEGINNING:
        return this.#beginning(token, verb);
      case STAGE.EXPLAIN:
        return this.#explain(token, verb);
      case STAGE.EXPLAIN_PARENTHESIS:
        if (token === TOKEN.OPEN || verb === VERB.QUERY) return this.#beginning(token, verb);
        return STAGE.EXPLAIN_OPTIONS;
      case STAGE.EXPLAIN_OPTIONS:
        return token === TOKEN.CLOSE && depth === 1 ? STAGE.BEGINNING : STAGE.EXPLAIN_OPTIONS;
      case STAGE.INTO:
        if (verb === VERB.TEMPORARY || verb === VERB.LOCAL) {
          this.effects |= SessionEffect.STATE;
        }
        return STAGE.BODY;
      case STAGE.COPY:
        this.callsNothing = token !== TOKEN.OPEN;
        if (this.callsNothing) this.effects |= SessionEffect.INSERT;
        return token === TOKEN.OPEN ? STAGE.BEGINNING : STAGE.BODY;
      case STAGE.DISCARD:
        return this.#discard(verb);
      case STAGE.PREPARE:
        if (verb === VERB.TRANSACTION) {
          this.effects |= SessionEffect.COMMIT;
          return STAGE.PREPARE_TRANSACTION;
        }
        this.effects |= SessionEffect.PREPARED;
        return STAGE.BODY;
      case STAGE.PREPARE_TRANSACTION:
        if (token !== TOKEN.LITERAL) this.effects |= SessionEffect.PREPARED;
        return STAGE.BODY;
      default:
        return this.#setting(token, verb);
    }
  }

  #beginning(token: number, verb: number): number {
    if (token === TOKEN.OPEN || token === TOKEN.SEMICOLON) return STAGE.BEGINNING;
    switch (verb) {
      case VERB.HARMLESS:
      case VERB.QUERY:
        return STAGE.BODY;
      case VERB.SET:
        return STAGE.SET;
      case VERB.RESET:
        this.effects |= SessionEffect.STATE;
        return STAGE.SETTING_NAME;
      case VERB.EXPLAIN:
        return STAGE.EXPLAIN;
      case VERB.COPY:
        return STAGE.COPY;
      case VERB.PREPARE:
        return STAGE.PREPARE;
      case VERB.DISCARD:
        this.effects |= SessionEffect.STATE;
        return STAGE.DISCARD;
      default:
        this.#simpleVerb(verb);
        return STAGE.BODY;
    }
  }

  /** Verbs that say all by themselves. */
  #simpleVerb(verb: number): void {
    switch (verb) {
      case VERB.LISTEN:
        this.effects |= SessionEffect.LISTEN;
        break;
      case VERB.NOTIFY:
        this.effects |= SessionEffect.NOTIFY;
        break;
      case VERB.COMMIT:
        this.effects |= SessionEffect.COMMIT;
        break;
      case VERB.LOAD:
        this.effects |= SessionEffect.STATE | SessionEffect.LOAD;
        break;
      case VERB.DEALLOCATE:
        this.effects |= SessionEffect.PREPARED;
        break;
      case VERB.EXECUTE:
        this.effects |= SessionEffect.STATE | SessionEffect.OPAQUE | SessionEffect.PREPARED;
        break;
      case VERB.DECLARE:
        this.declares = true;
        break;
      case VERB.ANALYZE:
      case VERB.VACUUM:
        this.callsNothing = true;
        break;
      default:
        this.effects |= SessionEffect.STATE | SessionEffect.OPAQUE;
    }
  }

  #explain(token: number, verb: number): number {
    if (token === TOKEN.OPEN) return STAGE.EXPLAIN_PARENTHESIS;
    return verb === VERB.ANALYZE || verb === VERB.VERBOSE ? STAGE.EXPLAIN : this.#beginning(token, verb);
  }

  #discard(verb: number): number {
    if (verb === VERB.ALL) this.effects |= SessionEffect.DISCARD_ALL | SessionEffect.PREPARED;
    else if (verb === VERB.PLANS) this.effects |= SessionEffect.PREPARED;
    return STAGE.BODY;
  }

  /** The tokens behind SET and RESET. */
  #setting(token: number, verb: number): number {
    const named = token === TOKEN.WORD || token === TOKEN.QUOTED;
    switch (this.#stage) {
      case STAGE.SET: {
        if (verb === VERB.LOCAL || verb === VERB.TRANSACTION) return STAGE.SET_LOCAL;
        this.effects |= SessionEffect.STATE;
        return verb === VERB.SESSION ? STAGE.SETTING_NAME : this.#settingName(token, verb);
      }
      case STAGE.SET_LOCAL:
        if (named) return STAGE.BODY;
        this.effects |= SessionEffect.STATE | SessionEffect.CUSTOM_SETTING;
        return STAGE.BODY;
      case STAGE.SETTING_NAME:
        return this.#settingName(token, verb);
      default:
        if (token === TOKEN.DOT) this.effects |= SessionEffect.CUSTOM_SETTING;
        return STAGE.BODY;
    }
  }

  #settingName(token: number, verb: number): number {
    if (verb === VERB.SEED) this.effects |= SessionEffect.UNSEEN;
    const { bytes, start, position } = this.#lexer;
    const dotted = token === TOKEN.QUOTED && contains(bytes, start, position, DOT_BYTE);
    if (dotted || token === TOKEN.DOT) this.effects |= SessionEffect.CUSTOM_SETTING;
    return STAGE.SETTING_REST;
  }
}

/** True if `wanted` is among the bytes. */
export function contains(bytes: Uint8Array, start: number, end: number, wanted: number): boolean {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === wanted) return true;
  }
  return false;
}
