/** What the traffic of prepared statements needs of a client's session. */
import type { Verdict } from '../../wire/framing.js';
import type { ClientEnd } from '../link.js';
import type { ParameterSet } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { Statement } from '../statements.js';

/** The session, as its statement traffic sees it. `bytes` and `position` name the message being judged. */
export interface StatementClient extends ClientEnd {
  readonly link: ServerConnection | null;
  /** What it has set. */
  readonly settings: ParameterSet;
  /** Statements that it has prepared by SQL. */
  readonly prepared: ParameterSet;
  /** True when a server connection is linked; else the message must be judged again later (BLOCK). */
  ensureLink(): boolean;
  /** Passes on what the client sent before this message. */
  flushBefore(bytes: Uint8Array, position: number): void;
  /** Sends something of ours to the server, behind what the client sent before this message. */
  insert(bytes: Uint8Array, position: number, message: Uint8Array): void;
  /** Sends `head[0, length)` in place of the message's beginning; from `rest` on it is passed on (FORWARD). */
  replaceBeginning(bytes: Uint8Array, position: number, head: Uint8Array, length: number, rest: number): void;
  /** What a statement may do to the session (`SessionEffect`). `bytes[start, end)`: a Parse body behind the name. */
  parseEffects(bytes: Uint8Array, start: number, end: number): number;
  /** What it is told if a text with these effects is refused; null: it is not. `bytes[start, end)`: the text alone. */
  refusalOf(effects: number, bytes: Uint8Array, start: number, end: number): Uint8Array | null;
  /** A named statement is used on the linked server connection. */
  uses(statement: Statement, bytes: Uint8Array, position: number): void;
  /** An unnamed statement with such effects is used on the linked server connection. `definition`: a Parse body behind the name. */
  executes(effects: number, definition: Uint8Array, bytes: Uint8Array, position: number): void;
  /** False: the statement of the Bind at `position` must wait; it is judged again later (BLOCK). */
  admits(effects: number, definition: Uint8Array, bytes: Uint8Array, position: number): boolean;
  answerParseComplete(): void;
  answerCloseComplete(): void;
  /** Passes a request on as it is. */
  request(kind: number): Verdict;
  /** Stops in front of the message until what was sent before is answered. */
  waitForAnswers(): Verdict;
  protocolViolation(message: string): Verdict;
}
