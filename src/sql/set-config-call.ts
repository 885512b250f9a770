/** Calls of `set_config(name, value, is_local)`: what they leave depends on their first and their last argument. */
import { type Lexer, TOKEN } from './lexer.js';
import { SessionEffect } from './session-effect.js';
import { contains } from './statement-beginning.js';

const DOT_BYTE = 0x2e;
const BACKSLASH = 0x5c;
const QUOTE = 0x27;

/** Follows one call at a time; one within another's arguments is taken for the worst. */
export class SetConfigCall {
  /** True while the next token must be shown to {@link SetConfigCall.read}. */
  waits = false;
  /** The depth within the call's parentheses, -1: there is none. */
  depth = -1;
  readonly #lexer: Lexer;
  /** What the call leaves unless it is local. */
  #effects = 0;
  #named = false;

  constructor(lexer: Lexer) {
    this.#lexer = lexer;
  }

  /** The call's parenthesis has been opened; returns what is certain already. */
  open(depth: number): number {
    if (this.depth >= 0) return SessionEffect.STATE | SessionEffect.CUSTOM_SETTING;
    this.depth = depth;
    this.#effects = SessionEffect.STATE;
    this.#named = false;
    this.waits = true;
    return SessionEffect.NONE;
  }

  /** The first argument, then the comma behind it: a plain literal without a dot names a setting of PostgreSQL's. */
  read(token: number): void {
    const { bytes, start, position } = this.#lexer;
    if (this.#named) {
      this.waits = false;
      if (token !== TOKEN.COMMA) this.#effects |= SessionEffect.CUSTOM_SETTING;
      return;
    }
    const plain = token === TOKEN.LITERAL && bytes[start] === QUOTE;
    const known =
      plain && !contains(bytes, start, position, DOT_BYTE) && !contains(bytes, start, position, BACKSLASH);
    if (!known) this.#effects |= SessionEffect.CUSTOM_SETTING;
    this.#named = known;
    this.waits = known;
  }

  /** The call, or the statement, has ended; returns what it leaves. A local setting ends with the transaction. */
  close(isLocal: boolean): number {
    const open = this.depth >= 0;
    this.depth = -1;
    this.waits = false;
    return open && !isLocal ? this.#effects : SessionEffect.NONE;
  }
}
