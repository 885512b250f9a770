/**
 * `session_state = strict`: a statement that would leave something in the session is refused before it runs. To the server
 * goes, in its place, one that fails as soon as it is looked at, so that the transaction and the batch fail as they would
 * by any other error; the client is told what it was refused for.
 */
import type { LastingKind, LastingStatement } from '../../sql/lasting-effect.js';
import { lastingStatement } from '../../sql/lasting-statement.js';
import { buildQuery } from '../../wire/client-messages.js';
import { buildErrorResponse } from '../../wire/error-fields.js';
import { SWALLOW, type Verdict } from '../../wire/framing.js';
import { SqlState } from '../../wire/sqlstate.js';
import { reportedName } from '../parameters.js';
import type { RefusedStatement } from '../server/exchange.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import { parseMessage } from '../server/statement-messages.js';
import type { StatementClient } from './statement-client.js';

/**
 * How answers are shown to the client. Drivers set these when they connect; they follow a client as the reported
 * parameters do, and no statement does anything else because of them.
 */
const PRESENTATION: ReadonlySet<string> = new Set([
  'bytea_output',
  'client_min_messages',
  'extra_float_digits',
]);

function mayBeSet(name: string): boolean {
  return PRESENTATION.has(name) || reportedName(name) !== null;
}

interface Advice {
  readonly detail: string;
  readonly hint: string;
}

const LONGER_WAY =
  'Otherwise use session_state = transparent, where the session keeps its server connection, or pool_mode = session.';

const ADVICE: Readonly<Record<LastingKind, Advice>> = {
  setting: {
    detail: 'It would hold beyond its transaction.',
    hint: 'Use SET LOCAL or set_config(..., true) in the transaction, ALTER ROLE ... SET, or name the setting in the startup packet (options=-c name=value). Otherwise use session_state = transparent, where it follows the client.',
  },
  identity: {
    detail: 'It would hold beyond its transaction.',
    hint: 'Use SET LOCAL ROLE or SET LOCAL SESSION AUTHORIZATION in the transaction, or log in as that user. Otherwise use session_state = transparent, where it follows the client.',
  },
  'temporary object': {
    detail: 'A temporary object lasts as long as the session.',
    hint: `Use CREATE TEMPORARY TABLE ... ON COMMIT DROP in a transaction. ${LONGER_WAY}`,
  },
  lock: {
    detail: 'The lock is held until it is given back, or the session ends.',
    hint: `Use pg_advisory_xact_lock() or pg_try_advisory_xact_lock() in the transaction. ${LONGER_WAY}`,
  },
  cursor: {
    detail: 'The cursor stays open beyond its transaction.',
    hint: `Declare it without HOLD, and fetch within the transaction. ${LONGER_WAY}`,
  },
  'prepared statement': {
    detail: 'The statement would be prepared beyond its transaction.',
    hint: "Prepare it by the driver (the protocol's Parse), which works here. Otherwise use session_state = transparent or pool_mode = session.",
  },
  listening: {
    detail: 'It would listen beyond its transaction.',
    hint: 'Listen through a database or user with session_state = transparent or pool_mode = session.',
  },
  library: {
    detail: 'The library would stay loaded.',
    hint: 'Load it for everybody (session_preload_libraries). Otherwise use pool_mode = session.',
  },
  sequence: {
    detail: 'It tells what an earlier statement of the session has done.',
    hint: `Use INSERT ... RETURNING, or the result of nextval(). ${LONGER_WAY}`,
  },
  unseen: {
    detail: 'What it sets stays in the session, where nothing tells of it.',
    hint: 'Use a database or user with pool_mode = session.',
  },
};

/**
 * What the client is told if a text, `bytes[start, end)`, is refused: an ErrorResponse; null: it is not.
 *
 * @param standardStrings as for `sessionEffects`
 */
export function strictRefusal(
  bytes: Uint8Array,
  start: number,
  end: number,
  standardStrings: boolean,
): Uint8Array | null {
  const statement = lastingStatement(bytes, start, end, { standardStrings, mayBeSet });
  return statement === null ? null : errorFor(statement);
}

function errorFor({ kind, command }: LastingStatement): Uint8Array {
  return buildErrorResponse({
    severity: 'ERROR',
    code: SqlState.feature_not_supported,
    message: `${command} is not allowed (session_state = strict)`,
    ...ADVICE[kind],
  });
}

/** Fails when it is analysed, whatever there is on the server; this is what its log shows. */
const FAILING = 'SELECT "refused by the gateway"';
const FAILING_QUERY = buildQuery(FAILING);
/** Behind the name of a Parse: no parameter types. */
const FAILING_DEFINITION = Buffer.from(`${FAILING}\0\0\0`);
/** Never gets a meaning, since the Parse fails. */
const REFUSED_NAME = Buffer.from('refused\0');
const NO_NAME = Uint8Array.of(0);

/** Refuses the Query at `position`. @param inBatch it stands behind extended messages without a Sync */
export function refuseQuery(
  client: StatementClient,
  bytes: Uint8Array,
  position: number,
  answer: Uint8Array,
  inBatch: boolean,
): Verdict {
  const link = client.link as ServerConnection;
  link.statements.unnamed = null;
  return refuse(client, bytes, position, Request.QUERY, { what: 'refused', answer, inBatch }, FAILING_QUERY);
}

/** Refuses the Parse at `position`. @param kind of the request: of a named statement, or of the unnamed one */
export function refuseParse(
  client: StatementClient,
  bytes: Uint8Array,
  position: number,
  answer: Uint8Array,
  kind: typeof Request.PARSE | typeof Request.PARSE_UNNAMED,
): Verdict {
  const name = kind === Request.PARSE ? REFUSED_NAME : NO_NAME;
  const message = parseMessage(name, FAILING_DEFINITION);
  return refuse(client, bytes, position, kind, { what: 'refused', answer, inBatch: false }, message);
}

function refuse(
  client: StatementClient,
  bytes: Uint8Array,
  position: number,
  kind: number,
  detail: RefusedStatement,
  message: Uint8Array,
): Verdict {
  const link = client.link as ServerConnection;
  // A batch that is repeated would be sent with what was refused.
  link.held.drop();
  link.expect(kind, detail);
  client.insert(bytes, position, message);
  return SWALLOW;
}
