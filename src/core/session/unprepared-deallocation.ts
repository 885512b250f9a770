/**
 * SQL's DEALLOCATE of one of the client's own statements that could not be prepared again on the server connection which it
 * has (server/unprepared-statements.ts): the server doesn't know of it, so that the answer is the gateway's.
 */
import { readPreparedStatementCommand } from '../../sql/prepared-statements.js';
import * as Backend from '../../wire/backend.js';
import { SWALLOW, type Verdict } from '../../wire/framing.js';
import { buildCommandComplete, buildReadyForQuery } from '../../wire/server-messages.js';
import type { ParameterSets } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { DeallocatingClient } from './deallocation.js';

const DONE = buildCommandComplete('DEALLOCATE');

/** Judges the text of a Query that has a server connection, `bytes[start, end)`; null: it is something else. */
export function deallocateUnprepared(
  client: DeallocatingClient,
  parameterSets: ParameterSets,
  bytes: Uint8Array,
  start: number,
  end: number,
): Verdict | null {
  const { exchange, hasFloor, unprepared } = client.link as ServerConnection;
  // Whether it could be prepared the server may still have to say.
  if ((unprepared.isEmpty && !exchange.runsOwnQuery) || exchange.batchOpen || exchange.copyInOpen)
    return null;
  const command = readPreparedStatementCommand(bytes, start, end);
  if (command?.verb !== 'deallocate' || command.name === null) return null;
  const { text } = command.name;
  if (!client.prepared.values.has(text)) return null;
  if (exchange.outstanding > 0 || hasFloor) return client.waitForAnswers();
  if (!unprepared.has(text) || exchange.status === Backend.InFailedTransaction) return null;
  client.statements?.queryComes();
  client.prepared = parameterSets.without(client.prepared, text);
  unprepared.forget(text);
  client.send(DONE);
  client.send(buildReadyForQuery(exchange.status));
  return SWALLOW;
}
