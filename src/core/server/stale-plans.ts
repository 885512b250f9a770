/**
 * "cached plan must not change result type": a prepared statement whose result has other columns since a DDL. PostgreSQL
 * refuses it so that a client which remembers the old columns doesn't misread the rows. A client that asks for the columns
 * in the same batch (Describe) remembers nothing: for it the statement is parsed again and the batch repeated, if the
 * refused request was the first that the server got of it, outside a transaction, so that nothing has happened.
 */
import * as Backend from '../../wire/backend.js';
import { sameBytes, zeroByte } from '../../wire/bytes.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { HEADER_BYTES, readInt32 } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { Exchange } from './exchange.js';
import type { HeldBatch } from './held-batch.js';
import * as Request from './request-queue.js';
import type { ServerStatements } from './server-statements.js';
import { closeMessage, parseMessage, STATEMENT } from './statement-messages.js';

/** Where PostgreSQL raises the error; its message may be translated. */
const ROUTINE = 'RevalidateCachedQuery';

export function isStalePlan(error: ErrorFields | null): boolean {
  return error?.code === SqlState.feature_not_supported && error.routine === ROUTINE;
}

/** Whether the message at `at` asks for the columns of a portal; true also if that can't be told before more has come. */
export function mayDescribePortal(bytes: Uint8Array, at: number, end: number): boolean {
  return at + HEADER_BYTES >= end || describesPortal(bytes, at, end);
}

/** Whether the message at `at` asks for the columns of a portal. */
function describesPortal(bytes: Uint8Array, at: number, end: number): boolean {
  return at + HEADER_BYTES < end && bytes[at] === Frontend.Describe && bytes[at + HEADER_BYTES] === PORTAL;
}

/**
 * The kinds of the requests of a batch that may be repeated, the Sync last, when its first request is refused; null: it
 * must not be. It must be all that is outstanding, consist of the client's own portals alone, and describe what it runs.
 * @param bytes the batch
 */
function repeatableBatch(exchange: Exchange, bytes: Uint8Array): number[] | null {
  if (exchange.status !== Backend.Idle || exchange.doubtful || exchange.batchOpen) return null;
  const kinds: number[] = [];
  for (const [request, detail] of exchange.requests()) {
    if (detail !== null || kinds.at(-1) === Request.SYNC || !REPEATABLE.has(request)) return null;
    kinds.push(request);
  }
  // Fewer: the refused one is not the first.
  if (kinds.at(-1) !== Request.SYNC || kinds.length !== requestsIn(bytes)) return null;
  return asksForColumns(bytes) ? kinds : null;
}

/** The server connection, as this sees it. */
export interface PlanServer {
  readonly exchange: Exchange;
  readonly statements: ServerStatements;
  readonly held: HeldBatch;
  readonly link: object | null;
  readonly clientMidMessage: boolean;
  send(message: Uint8Array): boolean;
}

/** A prepared statement's columns have changed. True: the batch that met it is repeated, and nobody needs to know. */
export function repeatRefusedBatch(server: PlanServer): boolean {
  const { exchange, statements, held } = server;
  // The newest batch that has ended: an older one may have been carried out.
  const batch = held.take(exchange.batch - 1);
  const kinds = batch === null ? null : repeatableBatch(exchange, batch);
  const statement = statements.latest;
  statements.planRefused(exchange, kinds !== null);
  if (server.link === null || batch === null || kinds === null || statement === null) return false;
  if (server.clientMidMessage) return false;
  held.takeParameters();
  exchange.repeatBatch();
  exchange.expect(Request.CLOSE | Request.SWALLOWED, null);
  const entry = statements.named.parsing(statement, exchange.batch);
  const parse = { what: 'parse', statement, entry, clientName: null, batch: exchange.batch } as const;
  exchange.expect(Request.PARSE | Request.SWALLOWED, parse);
  for (const kind of kinds) exchange.expect(kind, null);
  server.send(closeMessage(statement.serverName));
  server.send(parseMessage(statement.serverName, statement.definition));
  server.send(batch);
  return true;
}

/** Whether a batch asks for the columns of the one statement that it uses, before it gets rows of it. */
function asksForColumns(bytes: Uint8Array): boolean {
  const next = readInt32(bytes, 1) + 1;
  if (bytes[0] === Frontend.Bind) return describesPortal(bytes, next, bytes.length);
  if (bytes[0] !== Frontend.Describe || bytes[HEADER_BYTES] !== STATEMENT) return false;
  return bytes[next] === Frontend.Sync || bindsAlone(bytes, next, HEADER_BYTES + 1);
}

/** Whether the message at `at` is a Bind of the statement whose name is at `name`, and the only one from there on. */
function bindsAlone(bytes: Uint8Array, at: number, name: number): boolean {
  if (bytes[at] !== Frontend.Bind) return false;
  const statement = zeroByte(bytes, at + HEADER_BYTES, bytes.length) + 1;
  const length = zeroByte(bytes, name, bytes.length) - name + 1;
  if (!sameBytes(bytes, name, bytes, statement, length)) return false;
  for (let next = at; next < bytes.length; next += readInt32(bytes, next + 1) + 1) {
    if (next > at && NAMES_STATEMENT.has(bytes[next]!)) return false;
  }
  return true;
}

/** How many messages `bytes` consists of, without those that are not answered. */
function requestsIn(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += readInt32(bytes, at + 1) + 1) {
    if (bytes[at] !== Frontend.Flush) count += 1;
  }
  return count;
}

const PORTAL = 0x50; // 'P' in Describe
const NAMES_STATEMENT: ReadonlySet<number> = new Set([Frontend.Bind, Frontend.Describe, Frontend.Close]);

const REPEATABLE: ReadonlySet<number> = new Set([
  Request.BIND,
  Request.DESCRIBE,
  Request.EXECUTE,
  Request.CLOSE,
  Request.SYNC,
]);
