/**
 * SQL's DEALLOCATE of a statement that the client has prepared by the protocol: some drivers let go of theirs in this way.
 * On servers such a statement has another name, and may be others' too, so that the answer is the gateway's.
 */
import { readPreparedStatementCommand } from '../../sql/prepared-statements.js';
import * as Backend from '../../wire/backend.js';
import { zeroByte } from '../../wire/bytes.js';
import { buildParse } from '../../wire/client-messages.js';
import { SWALLOW, type Verdict } from '../../wire/framing.js';
import { buildCommandComplete, buildReadyForQuery } from '../../wire/server-messages.js';
import type { ParameterSet } from '../parameters.js';
import { naming } from '../server/exchange.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import { SERVER_NAME_PREFIX, type Statement } from '../statements.js';
import type { StatementClient } from './statement-client.js';
import type { StatementTraffic } from './statement-traffic.js';

/** The client, as this sees it. */
export interface DeallocatingClient {
  readonly link: ServerConnection | null;
  /** Statements that it has prepared by SQL: of these the server knows. */
  prepared: ParameterSet;
  readonly statements: StatementTraffic | null;
  send(message: Uint8Array): void;
  waitForAnswers(): Verdict;
}

const LETTER_D = 0x64;
const LOWER_CASE = 0x20;

let latestVictim = 0;

const DONE = buildCommandComplete('DEALLOCATE');

interface Named {
  /** As `StatementTraffic` keeps it: its bytes as Latin-1. */
  readonly name: string;
  readonly statement: Statement;
}

/** The client's statement of the protocol that the text `bytes[start, end)` lets go of; null: the text says something else. */
function letGo(
  client: Pick<DeallocatingClient, 'prepared'>,
  statements: StatementTraffic | null,
  bytes: Uint8Array,
  start: number,
  end: number,
): Named | null {
  const command = readPreparedStatementCommand(bytes, start, end);
  if (command?.verb !== 'deallocate' || command.name === null) return null;
  const name = Buffer.from(command.name.text, 'utf8').toString('latin1');
  const statement = statements?.find(name);
  if (statement === undefined || client.prepared.values.has(command.name.text)) return null;
  return { name, statement };
}

/** Judges the text of a Query that has a server connection, `bytes[start, end)`; null: it is something else. */
export function deallocate(
  client: DeallocatingClient,
  bytes: Uint8Array,
  start: number,
  end: number,
): Verdict | null {
  const named = letGo(client, client.statements, bytes, start, end);
  if (named === null) return null;
  const { exchange, isFresh, hasFloor } = client.link as ServerConnection;
  if (exchange.batchOpen || exchange.copyInOpen) return null;
  if ((exchange.outstanding > 0 && !isFresh) || hasFloor) return client.waitForAnswers();
  if (exchange.status === Backend.InFailedTransaction) return null;
  client.statements?.queryComes();
  client.statements?.forget(named.name, named.statement);
  client.send(DONE);
  client.send(buildReadyForQuery(exchange.status));
  return SWALLOW;
}

/**
 * The same by the Parse of an unnamed statement, whose body behind the name is `bytes[start, end)`. `unsettled`: what the name
 * means isn't known before earlier batches are answered.
 */
export function deallocatedByParse(
  client: StatementClient,
  statements: StatementTraffic,
  bytes: Uint8Array,
  start: number,
  end: number,
): Named | 'unsettled' | null {
  // Of most statements only the first byte is looked at.
  if ((bytes[start]! | LOWER_CASE) !== LETTER_D) return null;
  const named = letGo(client, statements, bytes, start, zeroByte(bytes, start, end));
  return named !== null && statements.isNameUnsettled(named.name) ? 'unsettled' : named;
}

/**
 * In place of the Parse at `position`, one of a DEALLOCATE of something that nobody knows: the server carries it out, or
 * refuses or skips it, as it would the client's.
 */
export function deallocateByParse(
  client: StatementClient,
  statements: StatementTraffic,
  { name, statement }: Named,
  bytes: Uint8Array,
  position: number,
): Verdict {
  const link = client.link as ServerConnection;
  latestVictim += 1;
  // Never the same: a client may not carry it out.
  const victim = `${SERVER_NAME_PREFIX}given_back_${latestVictim}`;
  statements.forget(name, statement);
  // It gets its name back if this is skipped.
  link.expect(Request.PARSE | Request.SWALLOWED, naming(link.exchange, 'close', statement, name));
  client.insert(bytes, position, buildParse(victim, 'SELECT 1'));
  link.expect(Request.PARSE_UNNAMED, null);
  client.insert(bytes, position, buildParse('', `DEALLOCATE ${victim}`));
  return SWALLOW;
}
