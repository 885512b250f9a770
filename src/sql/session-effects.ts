/**
 * What a statement may leave in its session when its transaction has ended, by its text alone. Nothing is decided
 * that the text doesn't show: whoever wants to know whether something *was* left asks the server.
 *
 * "Harmless" is said of what is known to be so: statements by their first word, functions by the list of those of
 * pg_catalog in `builtin-functions.ts`. All else is opaque, which costs a question to the server and no more. What no
 * text shows is missed: what views, triggers, rules, defaults, policies, operators and casts call, a function of the
 * user's that has a built-in one's name and other argument types, and custom settings that functions, DO and CALL
 * make.
 */
import { Lexer, TOKEN } from './lexer.js';
import { SessionEffect } from './session-effect.js';
import { SetConfigCall } from './set-config-call.js';
import { StatementBeginning } from './statement-beginning.js';
import { FUNCTION, findQuoted, findWord, functionOf, NO_WORD, ROLE, roleOf } from './words.js';

const QUALIFIED_BY_CATALOG = 1;
const QUALIFIED_OTHERWISE = 2;
/** The effects of a text that can't be read, or not to its end. */
export const UNREADABLE: number = SessionEffect.STATE | SessionEffect.OPAQUE | SessionEffect.COMMIT;
const PG_TEMP = Uint8Array.from('pg_temp', (letter) => letter.charCodeAt(0));

class EffectScan {
  readonly #lexer = new Lexer();
  readonly #beginning = new StatementBeginning(this.#lexer);
  readonly #setConfig = new SetConfigCall(this.#lexer);
  #effects = 0;
  #depth = 0;
  /** The role of the token at hand's predecessor. */
  #last: number = ROLE.OPERATOR;
  /** The role of what stands before the (qualified) name that has just ended. */
  #before: number = ROLE.OPERATOR;
  /** The name's last word. */
  #word = NO_WORD;
  #quotedStart = 0;
  #quotedEnd = 0;
  #qualified = 0;
  /** `)` may stand in front of an expression: DISTINCT ON (...), RETURNING WITH (...). */
  #closedBefore = false;
  /** The statement is a MERGE. */
  #merges = false;
  /** The depth at which a list of WITH stands, -1: none. */
  #withDepth = -1;

  run(bytes: Uint8Array, start: number, end: number, standardStrings: boolean): number {
    const lexer = this.#lexer;
    const beginning = this.#beginning;
    const setConfig = this.#setConfig;
    lexer.begin(bytes, start, end);
    beginning.clear();
    this.#effects = 0;
    this.#beginStatement();
    for (;;) {
      const token = lexer.next();
      if (token === TOKEN.END) return this.#finish(standardStrings);
      const word = token === TOKEN.WORD ? findWord(bytes, lexer.start, lexer.position, lexer.hash) : NO_WORD;
      if (beginning.waits && beginning.read(token, word, this.#depth)) this.#last = ROLE.OPERATOR;
      if (setConfig.waits) setConfig.read(token);
      switch (token) {
        case TOKEN.WORD:
          this.#readWord(word);
          break;
        case TOKEN.QUOTED:
          this.#readQuoted();
          break;
        case TOKEN.OPEN:
          this.#open();
          break;
        case TOKEN.CLOSE:
          this.#close();
          break;
        case TOKEN.DOT:
          this.#dot();
          break;
        case TOKEN.COMMA:
          this.#last = ROLE.COMMA;
          break;
        case TOKEN.CAST:
          this.#last = ROLE.CAST;
          break;
        case TOKEN.OPERATOR:
          this.#last = ROLE.OPERATOR;
          break;
        case TOKEN.SEMICOLON:
          if (lexer.position === end) return this.#finish(standardStrings);
          this.#effects |= setConfig.close(false);
          beginning.beginStatement();
          this.#beginStatement();
          break;
        case TOKEN.UNCERTAIN:
          this.#effects |= UNREADABLE;
          return this.#finish(standardStrings);
        default:
          this.#last = ROLE.EXPRESSION_END;
      }
    }
  }

  #finish(standardStrings: boolean): number {
    this.#effects |= this.#setConfig.close(false) | this.#beginning.effects;
    if (this.#lexer.doubtful && !standardStrings) this.#effects |= UNREADABLE;
    // The memory belongs to the caller.
    this.#lexer.begin(PG_TEMP, 0, 0);
    return this.#effects;
  }

  #beginStatement(): void {
    this.#depth = 0;
    this.#last = ROLE.OPERATOR;
    this.#before = ROLE.OPERATOR;
    this.#qualified = 0;
    this.#closedBefore = false;
    this.#merges = false;
    this.#withDepth = -1;
  }

  #readWord(word: number): void {
    const { bytes, start, position } = this.#lexer;
    if (word === NO_WORD && beginsWithPgTemp(bytes, start, position)) this.#effects |= SessionEffect.STATE;
    this.#word = word;
    if (this.#last === ROLE.DOT) {
      // Behind a dot every keyword is a name.
      this.#last = ROLE.NAME;
      return;
    }
    const before = this.#last;
    this.#before = before;
    this.#qualified = 0;
    const role = roleOf(word);
    this.#last = role;
    if (role !== ROLE.NAME) this.#keyword(role, before);
  }

  /** What a keyword does by itself. */
  #keyword(role: number, before: number): void {
    switch (role) {
      case ROLE.NOT:
        // AS NOT MATERIALIZED (...)
        if (before === ROLE.AS) this.#last = ROLE.AS;
        break;
      case ROLE.WITH:
        // A list of queries; nowhere else WITH stands there.
        if (before === ROLE.OPEN || before === ROLE.OPERATOR) this.#withDepth = this.#depth;
        break;
      case ROLE.QUERY:
      case ROLE.MODIFY:
      case ROLE.INSERT:
      case ROLE.MERGE:
        if (role === ROLE.MODIFY) this.#effects |= SessionEffect.MODIFY;
        if (this.#depth === this.#withDepth) this.#withDepth = -1;
        break;
      case ROLE.INTO:
        this.#into(before);
        break;
      case ROLE.ON:
        if (before === ROLE.DISTINCT) this.#closedBefore = true;
        break;
      case ROLE.WHERE:
        this.#beginning.callsNothing = false;
        break;
      case ROLE.EXECUTE:
        if (before === ROLE.AS) this.#effects |= SessionEffect.STATE | SessionEffect.PREPARED;
        break;
      case ROLE.HOLD:
        if (before === ROLE.WITH && this.#beginning.declares) this.#effects |= SessionEffect.STATE;
        break;
    }
  }

  /** `INSERT INTO`, `MERGE INTO`, or a new table: a column may be called insert, so the next token is looked at. */
  #into(before: number): void {
    if (before === ROLE.INSERT || before === ROLE.MERGE) {
      this.#merges = before === ROLE.MERGE;
      this.#effects |= SessionEffect.INSERT;
      this.#beginning.expectTarget();
    } else {
      this.#effects |= SessionEffect.STATE;
    }
  }

  #readQuoted(): void {
    const { bytes, start, position } = this.#lexer;
    this.#word = NO_WORD;
    this.#quotedStart = start + 1;
    this.#quotedEnd = position - 1;
    if (beginsWithPgTemp(bytes, start + 1, position - 1)) this.#effects |= SessionEffect.STATE;
    if (this.#last !== ROLE.DOT) {
      this.#before = this.#last;
      this.#qualified = 0;
    }
    this.#last = ROLE.QUOTED;
  }

  #dot(): void {
    const inCatalog = this.#last === ROLE.PG_CATALOG && this.#qualified === 0;
    this.#qualified = inCatalog ? QUALIFIED_BY_CATALOG : QUALIFIED_OTHERWISE;
    this.#last = ROLE.DOT;
  }

  #open(): void {
    const { bytes } = this.#lexer;
    this.#depth += 1;
    const last = this.#last;
    this.#last = ROLE.OPEN;
    // WITH ... AS (...) (SELECT ...)
    if (last === ROLE.CLOSE && this.#depth - 1 === this.#withDepth) this.#withDepth = -1;
    if (last === ROLE.QUOTED) {
      if (!this.#isNoCall()) this.#call(functionOf(findQuoted(bytes, this.#quotedStart, this.#quotedEnd)));
    } else if (last >= ROLE.NAME) {
      if (!this.#isNoCall() && !this.#isKeyword(last)) this.#call(functionOf(this.#word));
    } else if (last === ROLE.WITH && this.#before === ROLE.STARTER) {
      this.#closedBefore = true;
    }
  }

  /** True if the name in front of a parenthesis is declared there, and not called. */
  #isNoCall(): boolean {
    switch (this.#before) {
      case ROLE.AS:
      case ROLE.INTO:
      case ROLE.CAST:
      case ROLE.WITH:
      case ROLE.NAMING:
        return true;
      case ROLE.CLOSE:
        // (VALUES ...) t (a, b)
        return !this.#closedBefore && this.#word === NO_WORD;
      case ROLE.COMMA:
        return this.#depth - 1 === this.#withDepth || this.#beginning.callsNothing;
      default:
        return this.#beginning.callsNothing;
    }
  }

  /** True if the word before a parenthesis is a keyword there, though it could be a function's name elsewhere. */
  #isKeyword(role: number): boolean {
    if (this.#qualified !== 0) return false;
    const before = this.#before;
    // MERGE ... WHEN NOT MATCHED THEN INSERT (a, b)
    if (role === ROLE.INSERT) return this.#merges && before === ROLE.STARTER;
    if (role === ROLE.CONFLICT) return before === ROLE.ON && (this.#effects & SessionEffect.INSERT) !== 0;
    return role === ROLE.POSTFIX && before >= ROLE.EXPRESSION_END && before !== ROLE.POSTFIX;
  }

  #call(kind: number): void {
    switch (this.#qualified === QUALIFIED_OTHERWISE ? FUNCTION.UNKNOWN : kind) {
      case FUNCTION.HARMLESS:
        return;
      case FUNCTION.SEQUENCE_SET:
        this.#effects |= SessionEffect.SEQUENCE_SET;
        return;
      case FUNCTION.SEQUENCE_READ:
        this.#effects |= SessionEffect.SEQUENCE_READ;
        return;
      case FUNCTION.NOTIFY:
        this.#effects |= SessionEffect.NOTIFY;
        return;
      case FUNCTION.CHANNELS:
        this.#effects |= SessionEffect.CHANNELS;
        return;
      case FUNCTION.SET_CONFIG:
        this.#effects |= this.#setConfig.open(this.#depth);
        return;
      case FUNCTION.UNSEEN:
        this.#effects |= SessionEffect.STATE | SessionEffect.UNSEEN;
        return;
      default:
        this.#effects |= SessionEffect.STATE | SessionEffect.OPAQUE;
    }
  }

  #close(): void {
    if (this.#depth === this.#setConfig.depth) {
      this.#effects |= this.#setConfig.close(this.#last === ROLE.TRUE && this.#before === ROLE.COMMA);
    }
    this.#depth -= 1;
    if (this.#depth < this.#withDepth) this.#withDepth = -1;
    this.#last = ROLE.CLOSE;
  }
}

/** The schema of temporary objects, by either of its names (`pg_temp`, `pg_temp_3`). */
function beginsWithPgTemp(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < PG_TEMP.length || (bytes[start]! | 0x20) !== PG_TEMP[0]) return false;
  for (let at = 1; at < PG_TEMP.length; at += 1) {
    const byte = bytes[start + at]!;
    if (byte !== PG_TEMP[at] && (byte | 0x20) !== PG_TEMP[at]) return false;
  }
  return true;
}

const scan = new EffectScan();

/**
 * What the statements in `bytes[start, end)` may leave in the session: bits of `SessionEffect`, those of several
 * statements together. The range is the text without its zero byte.
 *
 * Not for client encodings whose multi-byte characters hold ASCII bytes, see `lexer.ts`: there everything is opaque.
 *
 * @param standardStrings the server has `standard_conforming_strings = on` when it reads the text. Unless that is
 *   known, a backslash in front of a quote (`ESCAPE '\'`) makes a text opaque.
 */
export function sessionEffects(
  bytes: Uint8Array,
  start: number,
  end: number,
  standardStrings = false,
): number {
  return scan.run(bytes, start, end, standardStrings);
}
