/**
 * What the log says of clients and server connections as they come and go, in PgBouncer's words: people and programs
 * parse them. The format is the control plane's; here are the messages and whom they are about.
 */
import type { ErrorFields } from '../wire/error-fields.js';
import { SqlState } from '../wire/sqlstate.js';
import type { GatewayContext } from './context.js';
import type { ConnectionId, ReportSubject } from './io.js';
import { limitPins, pinAdvice, pinReasons } from './pin-words.js';

/** A client or server connection, as the log names it. */
export interface Recorded {
  /** Asked for only where a line is written: it costs a system call. */
  readonly subject: ReportSubject;
  /** In ms. */
  readonly createdAt: number;
  /** Whether it comes and goes without a line. */
  readonly place?: { readonly isQuiet: boolean };
}

const MS_PER_S = 1000;
/** The address of both ends of a unix socket. */
const UNIX = 'unix';

/** `closing because: client close request (age=12s)`, where `log_disconnections` wants it. */
export function recordClosing(context: GatewayContext, closing: Recorded, reason: string): void {
  if (!context.settings.logDisconnections || closing.place?.isQuiet === true) return;
  const age = Math.floor((context.io.now() - closing.createdAt) / MS_PER_S);
  const { subject } = closing;
  context.io.report({ level: 'info', message: `closing because: ${reason} (age=${age}s)`, subject });
}

/** A client has said who it wants to be; `tls` is what its handshake has settled. */
export function recordLoginAttempt(context: GatewayContext, client: Recorded, attempt: LoginAttempt): void {
  if (!context.settings.logConnections) return;
  const { subject } = client;
  const who = `db=${subject.database} user=${subject.user}`;
  const message = `login attempt: ${who} tls=${attempt.tls ?? 'no'} replication=${attempt.replication}`;
  context.io.report({ level: 'info', message, subject });
}

export interface LoginAttempt {
  readonly tls: string | null;
  /** PgBouncer's words: `no`, `yes`, `database`. */
  readonly replication: string;
}

/** A client is told of an error of ours, where `log_pooler_errors` wants it. */
export function recordPoolerError(context: GatewayContext, client: Recorded, error: ErrorFields): void {
  if (!context.settings.logPoolerErrors) return;
  context.io.report({ level: 'warn', message: `pooler error: ${error.message}`, subject: client.subject });
}

/** A connection to a server is there; its login follows. */
export function recordNewServer(context: GatewayContext, server: Recorded, connection: ConnectionId): void {
  if (!context.settings.logConnections || server.place?.isQuiet === true) return;
  const local = context.io.localAddress(connection);
  const from = local === UNIX ? '' : ` (from ${local})`;
  context.io.report({ level: 'info', message: `new connection to server${from}`, subject: server.subject });
}

/** A server can't be reached, or has refused a login, in its own words. */
export function recordServerFailure(context: GatewayContext, pool: string, error: ErrorFields): void {
  if (!context.settings.logPoolerErrors) return;
  const { severity, message, code } = error;
  const isOurs = code === SqlState.sqlclient_unable_to_establish_sqlconnection;
  const what = isOurs
    ? `server connection failed: ${message}`
    : `server login failed: ${severity} ${message}`;
  context.io.report({ level: 'warn', message: what, facts: { pool, sqlstate: code } });
}

/** A server has refused to tell what a session holds. */
export function recordProbeFailure(
  { io }: GatewayContext,
  subject: ReportSubject,
  error: ErrorFields | null,
): void {
  const message = `the state of a session could not be asked for: ${error?.message ?? 'no answer'}`;
  io.report({ level: 'warn', message, subject, facts: { sqlstate: error?.code ?? '' } });
}

/** A server connection could not be given what a client has set. @param names the settings */
export function recordRefusedSession(
  { io }: GatewayContext,
  subject: ReportSubject,
  { message, code }: ErrorFields,
  names: readonly string[],
): void {
  io.report({
    level: 'warn',
    message: `a client's session is refused: ${message}`,
    subject,
    facts: { settings: names.join(', '), sqlstate: code },
  });
}

/** A session keeps its server connection for what it has no room to be followed by. */
export function recordPin({ io }: GatewayContext, client: Pick<Recorded, 'subject'>, pins: number): void {
  const limits = limitPins(pins);
  if (limits === 0) return;
  const message = `a session keeps its server connection: ${pinReasons(limits)}. ${pinAdvice(limits)}`;
  io.report({ level: 'warn', message, subject: client.subject });
}

/** A client has waited for so long that its pool uses the reserve. */
export function recordReserve({ io }: GatewayContext, { subject }: Recorded): void {
  io.report({ level: 'warn', message: 'taking connection from reserve_pool', subject });
}
