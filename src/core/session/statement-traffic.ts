/**
 * A client's prepared statements where server connections are shared: each named statement gets the catalogue's name
 * on the way to a server, is prepared there when it is missing, and the client never notices. The unnamed statement
 * lives across a Sync: it is prepared again on another server connection if it is used there.
 *
 * One instance a client; it is given whole or partial messages by the session and answers with a verdict on them.
 */

import { SessionEffect } from '../../sql/session-effect.js';
import * as Backend from '../../wire/backend.js';
import { latin1, sameBytes, zeroByte } from '../../wire/bytes.js';
import { BLOCK, FORWARD, HEADER_BYTES, MORE, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import { dropsAll } from '../drop-all.js';
import { PARSE_BYTES_MAX, STATEMENTS_PER_CLIENT_MAX } from '../limits.js';
import { type ClientRequest, naming, QUERY_IN_BATCH } from '../server/exchange.js';
import { FLUSH } from '../server/own-messages.js';
import { type Preparation, prepareStatement, prepareUnnamed } from '../server/prepare-statement.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import { mayDescribePortal } from '../server/stale-plans.js';
import { describeMessage, parseMessage, STATEMENT } from '../server/statement-messages.js';
import { mayStay, UNREAD } from '../statement-effects.js';
import { SERVER_NAME_PREFIX, type Statement } from '../statements.js';
import { bindHead } from './bind-head.js';
import { deallocateByParse, deallocatedByParse } from './deallocation.js';
import type { StatementClient } from './statement-client.js';
import { refuseParse } from './strict-mode.js';
import { UnnamedStatement } from './unnamed-statement.js';

/** The names in Bind must fit into this many bytes. */
const NAMES_BYTES_MAX = 64 * 1024;
/** A longer name isn't passed on; servers know one by its first 63 bytes alone (NAMEDATALEN). */
const SENT_NAME_BYTES_MAX = 8192;
const NO_NAME = Uint8Array.of(0);
/** Effects that count without the text. */
const BY_ITSELF = SessionEffect.SEQUENCE_READ | SessionEffect.LOAD | SessionEffect.UNSEEN;

export class StatementTraffic {
  private readonly context: GatewayContext;
  private readonly session: StatementClient;
  private readonly pool: object;
  readonly database: Pick<Database, 'totals' | 'redefinedAt'>;
  /**
   * False with max_prepared_statements = 0: names are passed on as they are, and only the unnamed one is looked after. A
   * change of the setting counts for a client when it has no statement and no server connection.
   */
  renames: boolean;
  private named: Map<string, Statement> | null = null;
  /** What a statement may leave that was passed on under its own name; which of them a Bind means isn't known. */
  private passedEffects = 0;
  /** The name that was looked up last, and what it means; null whenever names change. */
  private lastName: Buffer | null = null;
  private lastUsed: Statement | undefined;
  readonly unnamed = new UnnamedStatement();

  /** `pool`: the identity of the client's pool. */
  constructor(
    context: GatewayContext,
    session: StatementClient,
    pool: object,
    database: Pick<Database, 'totals' | 'redefinedAt'>,
  ) {
    this.context = context;
    this.database = database;
    this.pool = pool;
    this.renames = context.settings.maxPreparedStatements > 0;
    this.session = session;
  }

  get searchPath(): string | undefined {
    return this.session.settings.values.get('search_path');
  }

  get size(): number {
    return this.named?.size ?? 0;
  }

  /** What the client has under this name. @param name its bytes as Latin-1 */
  find(name: string): Statement | undefined {
    return this.named?.get(name);
  }

  /** A Parse body behind the name, of the unnamed statement; null: there is none. */
  get unnamedDefinition(): Uint8Array | null {
    return this.unnamed.now?.bytes ?? null;
  }

  /** The name is free again. @param name its bytes as Latin-1 */
  forgetName(name: string): void {
    const statement = this.named?.get(name);
    if (statement !== undefined) this.forget(name, statement);
  }

  /** DISCARD ALL or DEALLOCATE ALL has been carried out: only what was defined behind it stands. */
  dropped(definedSince: ReadonlySet<string>): void {
    if (this.named !== null) {
      for (const [name, statement] of [...this.named])
        if (!definedSince.has(name)) this.forget(name, statement);
    }
    this.unnamed.dropped();
  }

  /** The client has ended. */
  clear(): void {
    if (this.named !== null)
      for (const statement of this.named.values()) this.context.catalogue.release(statement);
    this.named = null;
    this.lastName = null;
    this.unnamed.destroy();
  }

  /** A Parse was refused or skipped: unless the name has got another meaning, it is free. */
  forget(name: string, statement: Statement): void {
    if (this.named?.get(name) !== statement) return;
    this.named.delete(name);
    this.lastName = null;
    this.context.catalogue.release(statement);
  }

  /** A Close was skipped. */
  restore(name: string, statement: Statement): void {
    if (this.named?.has(name) === true) return;
    this.define(name, statement);
  }

  /** A simple Query destroys the unnamed statement, within a batch only if nothing fails before it. */
  queryComes(): ClientRequest | null {
    const exchange = this.session.link?.exchange;
    if (exchange?.batchOpen === true) {
      this.unnamed.queryInBatch(exchange.batch);
      return QUERY_IN_BATCH;
    }
    this.unnamed.destroy();
    return null;
  }

  /** See {@link UnnamedStatement.answered}. */
  unnamedAnswered(how: 'parsed' | 'refused' | 'skipped'): void {
    this.unnamed.answered(how);
  }

  // --- Messages -----------------------------------------------------------------------------------------------

  parse(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (total > PARSE_BYTES_MAX) {
      return this.session.protocolViolation(
        `Parse message of ${total} bytes is longer than ${PARSE_BYTES_MAX}`,
      );
    }
    if (end - position < total) return WHOLE;
    const last = position + total;
    const nameEnd = zeroByte(bytes, position + HEADER_BYTES, last);
    if (nameEnd < 0) return this.session.request(Request.PARSE);
    const name = latin1(bytes, position + HEADER_BYTES, nameEnd);
    const namesake = this.named?.get(name);
    if (this.size >= STATEMENTS_PER_CLIENT_MAX && name !== '' && namesake === undefined) {
      return this.session.protocolViolation(`more than ${STATEMENTS_PER_CLIENT_MAX} prepared statements`);
    }
    if (name === '') {
      if (!this.session.ensureLink()) return BLOCK;
      return this.parseUnnamed(this.session.link as ServerConnection, bytes, position, nameEnd + 1, last);
    }
    return this.parseNamed(name, namesake, bytes, position, nameEnd + 1, last);
  }

  private parseNamed(
    name: string,
    namesake: Statement | undefined,
    bytes: Uint8Array,
    position: number,
    start: number,
    end: number,
  ): Verdict {
    if (this.session.link === null && this.size === 0) {
      this.renames = this.context.settings.maxPreparedStatements > 0;
    }
    const known = this.renames ? this.context.catalogue.find(this, bytes, start, end) : undefined;
    const effects = known?.effects ?? this.session.parseEffects(bytes, start, end);
    if (effects !== SessionEffect.NONE) {
      const answer = this.refusal(effects, bytes, start, end);
      if (answer !== null) {
        if (!this.session.ensureLink()) return BLOCK;
        return refuseParse(this.session, bytes, position, answer, Request.PARSE);
      }
    }
    if (!this.renames) {
      if (mayStay(effects)) this.passedEffects |= UNREAD | (effects & BY_ITSELF);
      return this.session.request(Request.PARSE);
    }
    if (this.isNameUnsettled(name)) return this.session.waitForAnswers();
    if (this.session.link === null && namesake === undefined && known?.acceptedIn.has(this.pool) === true) {
      // A client that prepares its statements at connect, as most drivers do, holds no server connection for it.
      this.define(name, known);
      this.database.totals.clientParses += 1;
      this.session.answerParseComplete();
      return SWALLOW;
    }
    if (!this.session.ensureLink()) return BLOCK;
    const link = this.session.link as ServerConnection;
    if (namesake !== undefined && this.isDuplicateUncertain(link, bytes, position)) {
      return this.session.waitForAnswers();
    }
    const statement = this.context.catalogue.define(this, bytes, start, end);
    if (namesake !== undefined) return this.parseDuplicate(link, bytes, position, namesake, statement, name);
    this.define(name, statement);
    // In a failed transaction the server refuses nearly every Parse, so it has to be asked.
    const mayHaveFailed =
      link.status === Backend.InFailedTransaction ||
      (link.status === Backend.InTransaction && link.exchange.earlierBatchOpen);
    if (!mayHaveFailed && link.statements.missing(statement, link.exchange) === 'nothing') {
      this.database.totals.clientParses += 1;
      this.session.flushBefore(bytes, position);
      link.answerLocally(Request.PARSE, naming(link.exchange, 'parse', statement, name));
      return SWALLOW;
    }
    this.database.totals.clientParses += 1;
    this.prepare(link, bytes, position, statement, { clientName: name, mayExist: mayHaveFailed });
    return SWALLOW;
  }

  private parseUnnamed(
    link: ServerConnection,
    bytes: Uint8Array,
    position: number,
    start: number,
    end: number,
  ): Verdict {
    const given = deallocatedByParse(this.session, this, bytes, start, end);
    if (given === 'unsettled') return this.session.waitForAnswers();
    const definition = this.unnamed.parse(this.session, bytes, start, end, link.exchange.batch);
    link.statements.unnamed = definition;
    if (definition.effects !== SessionEffect.NONE) {
      const answer = this.refusal(definition.effects, bytes, start, end);
      if (answer !== null) return refuseParse(this.session, bytes, position, answer, Request.PARSE_UNNAMED);
    }
    if (given !== null) return deallocateByParse(this.session, this, given, bytes, position);
    link.expect(Request.PARSE_UNNAMED);
    if (dropsAll(bytes, start, end)) link.exchange.dropsAll();
    return FORWARD;
  }

  /** `bytes[start, end)`: a Parse body behind the name. */
  private refusal(effects: number, bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    return this.session.refusalOf(effects, bytes, start, zeroByte(bytes, start, end));
  }

  /** Whether the transaction has failed, and whether the name is taken still, must be certain. */
  private isDuplicateUncertain(link: ServerConnection, bytes: Uint8Array, position: number): boolean {
    if (link.exchange.earlierBatchOpen) return true;
    if (!link.exchange.mayHaveDropped) return false;
    this.session.insert(bytes, position, FLUSH);
    return true;
  }

  /** The server itself refuses a name that is taken, since the error must fail its transaction too. */
  private parseDuplicate(
    link: ServerConnection,
    bytes: Uint8Array,
    position: number,
    namesake: Statement,
    statement: Statement,
    clientName: string,
  ): Verdict {
    // In a failed transaction the namesake can't be prepared where it is missing: the client meets that error then, as it
    // would its own. Under another name the server would take a ROLLBACK, and anything behind one. But a text that is no
    // SQL is refused for that first.
    const isFailed = link.status === Backend.InFailedTransaction;
    if (isFailed && link.statements.missing(namesake, link.exchange) !== 'nothing') {
      this.prepare(link, bytes, position, statement, { clientName: null, mayExist: true });
    }
    this.use(link, bytes, position, namesake);
    link.expect(Request.PARSE, naming(link.exchange, 'duplicate', statement, clientName));
    this.session.insert(bytes, position, parseMessage(namesake.serverName, statement.definition));
    if (statement.references === 0) {
      this.context.catalogue.hold(statement);
      this.context.catalogue.release(statement);
    }
    return SWALLOW;
  }

  bind(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    const available = Math.min(end, position + total);
    const portalEnd = zeroByte(bytes, position + HEADER_BYTES, available);
    const nameEnd = portalEnd < 0 ? -1 : zeroByte(bytes, portalEnd + 1, available);
    if (nameEnd < 0) return this.incompleteNames(total, available - position);
    if (!this.session.ensureLink()) return BLOCK;
    const link = this.session.link as ServerConnection;
    if (nameEnd === portalEnd + 1) {
      if (this.isUnnamedUnsettled(link)) return this.session.waitForAnswers();
      const definition = this.unnamed.now;
      const effects = definition?.effects ?? 0;
      if (effects !== 0 && !this.session.admits(effects, definition!.bytes, bytes, position)) return BLOCK;
      this.useUnnamed(link, bytes, position);
      if (effects !== 0) this.session.executes(effects, definition!.bytes, bytes, position);
      link.expect(Request.BIND);
      return FORWARD;
    }
    if (this.isUnsettled(link, bytes, portalEnd + 1, nameEnd)) return this.session.waitForAnswers();
    // Who asks for the columns along with the rows can't be surprised by others.
    const describes = mayDescribePortal(bytes, position + total, end);
    if (describes && this.context.catalogue.clock > 0 && position + total + HEADER_BYTES < end) {
      this.distrustIfSuspect(link, bytes, portalEnd + 1, nameEnd);
    }
    const statement = this.lookUp(bytes, portalEnd + 1, nameEnd);
    const effects = statement?.effects ?? 0;
    if (effects !== 0 && !this.session.admits(effects, statement!.definition, bytes, position)) return BLOCK;
    const serverName = this.serverName(link, bytes, position, statement, portalEnd + 1, nameEnd);
    link.expect(Request.BIND);
    if (serverName === null) return FORWARD;
    this.database.totals.binds += 1;
    if (describes && link.exchange.owesClientOne && link.status === Backend.Idle) {
      link.held.begin(link.exchange.batch);
    }
    const head = bindHead(total, bytes, position, portalEnd, nameEnd, serverName);
    const length = portalEnd + 1 - position + serverName.length;
    this.session.replaceBeginning(bytes, position, head, length, nameEnd + 1);
    return FORWARD;
  }

  describe(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (end - position < total) return WHOLE;
    const nameStart = position + HEADER_BYTES + 1;
    const last = position + total;
    if (total < HEADER_BYTES + 2 || bytes[last - 1] !== 0) return this.session.request(Request.DESCRIBE);
    if (!this.session.ensureLink()) return BLOCK;
    const link = this.session.link as ServerConnection;
    const isStatement = bytes[nameStart - 1] === STATEMENT;
    if (isStatement && this.isUnsettled(link, bytes, nameStart, last - 1)) {
      return this.session.waitForAnswers();
    }
    if (isStatement && nameStart === last - 1) {
      if (this.isUnnamedUnsettled(link)) return this.session.waitForAnswers();
      this.useUnnamed(link, bytes, position);
    }
    const named = isStatement && nameStart < last - 1;
    if (named && this.context.catalogue.clock > 0) this.distrustIfSuspect(link, bytes, nameStart, last - 1);
    const serverName = named
      ? this.serverName(link, bytes, position, this.lookUp(bytes, nameStart, last - 1), nameStart, last - 1)
      : null;
    link.expect(Request.DESCRIBE);
    if (serverName === null) return FORWARD;
    const isFirst = link.exchange.owesClientOne && link.status === Backend.Idle;
    if (isFirst) link.held.begin(link.exchange.batch, true);
    else link.held.drop();
    const message = describeMessage(serverName);
    if (link.held.isOpen) link.held.keep(message, 0, message.length, true);
    this.session.insert(bytes, position, message);
    return SWALLOW;
  }

  close(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (end - position < total) return WHOLE;
    const last = position + total - 1;
    if (total < HEADER_BYTES + 2 || bytes[last] !== 0) return this.session.request(Request.CLOSE);
    const isStatement = bytes[position + HEADER_BYTES] === STATEMENT;
    const name = latin1(bytes, position + HEADER_BYTES + 1, last);
    if (!isStatement || name === '' || !this.renames) return this.closeOnServer(isStatement && name === '');
    const { link } = this.session;
    if (this.isNameUnsettled(name)) return this.session.waitForAnswers();
    const statement = this.named?.get(name);
    if (statement !== undefined) this.forget(name, statement);
    this.session.flushBefore(bytes, position);
    if (link === null) this.session.answerCloseComplete();
    else link.answerLocally(Request.CLOSE, naming(link.exchange, 'close', statement, name));
    return SWALLOW;
  }

  /** A portal, or the unnamed statement: it lives on the linked server connection, if at all. */
  private closeOnServer(isUnnamed: boolean): Verdict {
    if (isUnnamed) this.unnamed.destroy();
    const { link } = this.session;
    if (link === null) {
      this.session.answerCloseComplete();
      return SWALLOW;
    }
    if (isUnnamed) link.statements.unnamed = null;
    link.expect(Request.CLOSE);
    return FORWARD;
  }

  // --- On the server connection -------------------------------------------------------------------------------

  private isUnsettled(
    link: ServerConnection,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
  ): boolean {
    return link.exchange.mayBeUnsettled && this.isNameUnsettled(latin1(bytes, nameStart, nameEnd));
  }

  isNameUnsettled(name: string): boolean {
    return this.session.link?.exchange.isUnsettled(name, this.named?.has(name) === true) === true;
  }

  /**
   * The name under which the server knows the client's statement, prepared if need be; null to pass the client's
   * name on, so that the server says it doesn't exist.
   */
  private serverName(
    link: ServerConnection,
    bytes: Uint8Array,
    position: number,
    statement: Statement | undefined,
    nameStart: number,
    nameEnd: number,
  ): Uint8Array | null {
    if (!this.renames) {
      if (this.passedEffects !== 0) this.session.executes(this.passedEffects, NO_NAME, bytes, position);
      return null;
    }
    if (statement === undefined) {
      const name = latin1(bytes, nameStart, nameEnd);
      // There may be one that SQL has prepared.
      this.session.executes(UNREAD, NO_NAME, bytes, position);
      // A name of ours would reach somebody's statement; a long one makes a message that the server doesn't take.
      const isFit = name.length <= SENT_NAME_BYTES_MAX && !name.startsWith(SERVER_NAME_PREFIX);
      return isFit ? null : Buffer.from(`?${name.slice(0, SENT_NAME_BYTES_MAX)}\0`, 'latin1');
    }
    this.use(link, bytes, position, statement);
    this.session.uses(statement, bytes, position);
    link.statements.latest = statement;
    return statement.serverName;
  }

  /** Has a statement parsed again whose columns may have changed. */
  private distrustIfSuspect(
    link: ServerConnection,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
  ): void {
    const statement = this.lookUp(bytes, nameStart, nameEnd);
    if (statement !== undefined && link.statements.isSuspect(statement)) {
      link.statements.named.distrust(statement);
    }
  }

  /** Most clients use one statement many times in a row: its name is compared as bytes, with no string made of it. */
  private lookUp(bytes: Uint8Array, nameStart: number, nameEnd: number): Statement | undefined {
    if (!this.renames) return undefined;
    const length = nameEnd - nameStart;
    const last = this.lastName;
    if (last !== null && last.length === length && sameBytes(last, 0, bytes, nameStart, length)) {
      return this.lastUsed;
    }
    const statement = this.named?.get(latin1(bytes, nameStart, nameEnd));
    // What drops all others is never remembered, so that it is noticed each time.
    if (statement?.dropsAll === true) this.session.link?.exchange.dropsAll();
    const isRemembered = statement !== undefined && !statement.dropsAll;
    this.lastName = isRemembered ? Buffer.from(bytes.subarray(nameStart, nameEnd)) : null;
    this.lastUsed = statement;
    return statement;
  }

  private use(link: ServerConnection, bytes: Uint8Array, position: number, statement: Statement): void {
    if (link.statements.missing(statement, link.exchange) === 'nothing') return;
    this.prepare(link, bytes, position, statement, { clientName: null, mayExist: false });
  }

  private prepare(
    link: ServerConnection,
    bytes: Uint8Array,
    position: number,
    statement: Statement,
    how: Preparation,
  ): void {
    this.database.totals.serverParses += 1;
    const insert = (message: Uint8Array) => this.session.insert(bytes, position, message);
    prepareStatement(link, statement, how, this.context.settings.maxPreparedStatements, insert);
  }

  /** It would have to be prepared again, and whether its Parse in an earlier batch has failed isn't known yet. */
  private isUnnamedUnsettled(link: ServerConnection): boolean {
    return link.statements.unnamed !== this.unnamed.now && this.unnamed.isUnsettled(link.exchange.batch);
  }

  private useUnnamed(link: ServerConnection, bytes: Uint8Array, position: number): void {
    const message = prepareUnnamed(link, this.unnamed.now);
    if (message !== null) this.session.insert(bytes, position, message);
  }

  private define(name: string, statement: Statement): void {
    this.named ??= new Map();
    this.named.set(name, statement);
    this.lastName = null;
    this.context.catalogue.hold(statement);
  }

  private incompleteNames(total: number, available: number): Verdict {
    // Without its terminators it is the server's to refuse.
    if (available === total) return this.session.request(Request.BIND);
    if (available <= NAMES_BYTES_MAX) return MORE;
    return this.session.protocolViolation(`names in Bind are longer than ${NAMES_BYTES_MAX} bytes`);
  }
}
