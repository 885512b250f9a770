/**
 * Which units may be sent in a pipeline (read-pipeline.ts), and how: a simple Query, or Bind and Execute of one statement that
 * was prepared before or is parsed with it, unnamed. All that its client's own statements depend on is settled when it has been
 * answered, so that it leaves no trace before.
 */
import { SessionEffect } from '../../sql/session-effect.js';
import { latin1, zeroByte } from '../../wire/bytes.js';
import { HEADER_BYTES, readInt32 } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import type { ParameterSet } from '../parameters.js';
import { prepareStatement } from '../server/prepare-statement.js';
import { NO_BATCH } from '../server/prepared.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { Statement } from '../statements.js';
import { bindHead } from './bind-head.js';
import { textRules } from './text-rules.js';
import type { UnnamedStatement } from './unnamed-statement.js';

/** Longer ones, in bytes, go by themselves: the others would wait for them. */
const TRAVELLING_BYTES_MAX = 8192;
/** Execute of the unnamed portal, without a limit; and the part of it behind its header. */
const EXECUTE_BYTES = HEADER_BYTES + 5;
const DESCRIBE_BYTES = HEADER_BYTES + 2;
const PORTAL = 0x50;

/** The client. */
export interface TravellingClient {
  readonly parameters: ParameterSet;
  readonly settings: ParameterSet;
  /** Statements that it has prepared by SQL. */
  readonly prepared: ParameterSet;
  /** What a Parse body, `bytes[start, end)` behind the name, may leave in the session (`SessionEffect`). */
  parseEffects(bytes: Uint8Array, start: number, end: number): number;
  readonly statements: {
    find(name: string): Statement | undefined;
    /** A simple Query is sent. */
    queryComes(): unknown;
    readonly unnamed: UnnamedStatement;
  } | null;
}

/** Used by one unit at a time, from {@link read} to {@link send}: nothing is allocated for it. */
class TravellingUnit {
  private bytes: Uint8Array = new Uint8Array(0);
  private length = 0;
  /** Where Bind begins; 0: it is a Query, or begins with Bind. */
  private bindAt = 0;
  private nameEnd = 0;
  private describes = false;
  /** What Bind names; null: what is parsed with it. */
  private statement: Statement | null = null;

  /**
   * Whether the unit `bytes[0, length)` may be sent so. It has been found to be a read that may run twice.
   * @param leavesNothing a Query of this text leaves nothing in its session
   */
  read(client: TravellingClient, bytes: Uint8Array, length: number, leavesNothing: boolean): boolean {
    this.bytes = bytes;
    this.length = length;
    this.bindAt = 0;
    this.statement = null;
    if (length > TRAVELLING_BYTES_MAX) return false;
    if (bytes[0] === Frontend.Query) return leavesNothing;
    return (bytes[0] !== Frontend.Parse || this.readParse(client)) && this.readBind(client);
  }

  private readParse(client: TravellingClient): boolean {
    const { bytes } = this;
    const unnamed = client.statements?.unnamed;
    if (bytes[HEADER_BYTES] !== 0) return false;
    this.bindAt = 1 + readInt32(bytes, 1);
    return unnamed?.effectsOf(client, bytes, HEADER_BYTES + 1, this.bindAt) === SessionEffect.NONE;
  }

  private readBind(client: TravellingClient): boolean {
    const { bytes, bindAt } = this;
    const portal = bindAt + HEADER_BYTES;
    if (bytes[bindAt] !== Frontend.Bind || bytes[portal] !== 0) return false;
    const end = bindAt + 1 + readInt32(bytes, bindAt + 1);
    this.nameEnd = zeroByte(bytes, portal + 1, end);
    const isUnnamed = this.nameEnd === portal + 1;
    // Nothing else may follow a Parse, and without one the unnamed statement is another server connection's.
    if (this.nameEnd < 0 || isUnnamed !== bindAt > 0) return false;
    return (isUnnamed || this.readName(client, portal + 1)) && this.readRest(end);
  }

  private readName({ statements, parameters }: TravellingClient, start: number): boolean {
    const statement = statements?.find(latin1(this.bytes, start, this.nameEnd));
    if (statement === undefined || textRules(parameters).isOpaque) return false;
    this.statement = statement;
    return statement.effects === SessionEffect.NONE && !statement.dropsAll;
  }

  /** Describe of the portal or nothing, Execute, Sync. */
  private readRest(start: number): boolean {
    const { bytes, length } = this;
    const describe = start + HEADER_BYTES;
    this.describes = bytes[start] === Frontend.Describe;
    if (this.describes && (bytes[describe] !== PORTAL || bytes[describe + 1] !== 0)) return false;
    const execute = this.describes ? start + DESCRIBE_BYTES : start;
    const isWhole = execute + EXECUTE_BYTES + HEADER_BYTES === length && bytes[execute] === Frontend.Execute;
    return (
      isWhole && bytes[execute + HEADER_BYTES] === 0 && readInt32(bytes, execute + HEADER_BYTES + 1) === 0
    );
  }

  /** @param preparedMax see `max_prepared_statements` */
  send(server: ServerConnection, preparedMax: number): void {
    const { bytes, length, bindAt, statement } = this;
    if (bytes[0] === Frontend.Query) {
      server.statements.unnamed = null;
      server.expect(Request.QUERY);
      server.fromClient(bytes, 0, length);
      return;
    }
    if (bindAt > 0) {
      server.statements.unnamed = 'unknown';
      server.expect(Request.PARSE_UNNAMED);
    }
    if (statement === null) server.expect(Request.BIND);
    else this.sendBind(server, statement, preparedMax);
    if (this.describes) server.expect(Request.DESCRIBE);
    server.expect(Request.EXECUTE);
    server.expect(Request.SYNC);
    server.fromClient(bytes, statement === null ? 0 : this.nameEnd + 1, length);
  }

  private sendBind(server: ServerConnection, statement: Statement, preparedMax: number): void {
    const { statements: prepared, exchange } = server;
    if (prepared.isSuspect(statement)) prepared.named.distrust(statement);
    if (prepared.missing(statement, exchange) !== 'nothing') {
      const insert = (message: Uint8Array) => server.send(message);
      prepareStatement(server, statement, { clientName: null, mayExist: false }, preparedMax, insert);
    }
    prepared.latest = statement;
    server.expect(Request.BIND);
    server.timing.totals.binds += 1;
    const total = 1 + readInt32(this.bytes, 1);
    const portalEnd = HEADER_BYTES;
    const head = bindHead(total, this.bytes, 0, portalEnd, this.nameEnd, statement.serverName);
    server.fromClient(head, 0, portalEnd + 1 + statement.serverName.length);
  }
}

/** The unit at hand; a reactor looks at one at a time. */
export const travellingUnit = new TravellingUnit();

/** It parses an unnamed statement. */
export function parsesUnnamed(bytes: Uint8Array): boolean {
  return bytes[0] === Frontend.Parse;
}

/** The unit `bytes[0, length)` has been answered: what that changes for its client's next ones. */
export function settleUnit(client: TravellingClient, bytes: Uint8Array): void {
  const { statements } = client;
  if (bytes[0] === Frontend.Query) statements?.queryComes();
  else if (parsesUnnamed(bytes)) {
    statements?.unnamed.parse(client, bytes, HEADER_BYTES + 1, 1 + readInt32(bytes, 1), NO_BATCH);
    statements?.unnamed.answered('parsed');
  }
}
