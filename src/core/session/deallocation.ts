/**
 * SQL's DEALLOCATE of a statement that the client has prepared by the protocol: some drivers let go of theirs in this way.
 * On servers such a statement has another name, and may be others' too, so that the answer is the gateway's.
 */
import { readPreparedStatementCommand } from '../../sql/prepared-statements.js';
import * as Backend from '../../wire/backend.js';
import { SWALLOW, type Verdict } from '../../wire/framing.js';
import { buildCommandComplete, buildReadyForQuery } from '../../wire/server-messages.js';
import type { ParameterSet } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { StatementTraffic } from './statement-traffic.js';

/** The client, as this sees it. */
export interface DeallocatingClient {
  readonly link: ServerConnection | null;
  /** Statements that it has prepared by SQL: of these the server knows. */
  readonly prepared: ParameterSet;
  readonly statements: StatementTraffic | null;
  send(message: Uint8Array): void;
  waitForAnswers(): Verdict;
}

const DONE = buildCommandComplete('DEALLOCATE');

/** Judges the text of a Query that has a server connection, `bytes[start, end)`; null: it is something else. */
export function deallocate(
  client: DeallocatingClient,
  bytes: Uint8Array,
  start: number,
  end: number,
): Verdict | null {
  const command = readPreparedStatementCommand(bytes, start, end);
  if (command?.verb !== 'deallocate' || command.name === null) return null;
  // As StatementTraffic keeps names.
  const name = Buffer.from(command.name.text, 'utf8').toString('latin1');
  const statement = client.statements?.find(name);
  if (statement === undefined || client.prepared.values.has(command.name.text)) return null;
  const { exchange, isFresh, hasFloor } = client.link as ServerConnection;
  if (exchange.batchOpen || exchange.copyInOpen) return null;
  if ((exchange.outstanding > 0 && !isFresh) || hasFloor) return client.waitForAnswers();
  if (exchange.status === Backend.InFailedTransaction) return null;
  client.statements?.queryComes();
  client.statements?.forget(name, statement);
  client.send(DONE);
  client.send(buildReadyForQuery(exchange.status));
  return SWALLOW;
}
