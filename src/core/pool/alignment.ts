/**
 * Gives server connections what their clients' sessions have, before anything of these runs there. The query that does it
 * goes together with the client's first message: if it fails the server process ends, and nothing behind it runs
 * (error-guard.ts). Only the first of a server connection is waited for, since it tells whether the guard is to be had, and
 * the trial of what a new client asks for, which may well fail.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { UNFIT } from '../close-reasons.js';
import { errorGuard } from '../server/error-guard.js';
import type { Alignment, OwnQuery } from '../server/exchange.js';
import type { ServerConnection } from '../server/server-connection.js';
import { alignmentRefusal } from '../server/server-errors.js';
import type { Session } from '../session/session.js';
import { differenceBetween, differenceFromReset } from '../session-state.js';

/** The pool, as this sees it. */
export interface AligningPool {
  /** Whether links end with transactions. */
  readonly sharesServers: boolean;
  /** Its clients get no server connection for now. */
  readonly isHeld: boolean;
  /** The linked server connection has what its client's session has. */
  goOn(client: Session): void;
  /** Ends the link of a client that has run nothing over it. */
  giveBack(client: Session): void;
  /** {@link align} */
  align(client: Session, server: ServerConnection): boolean;
}

/**
 * {@link align} for a client whose session has been asked for, and that goes on with the server connection that it has. While
 * new transactions wait its next one does, too, and finds no link any more when it is judged again.
 */
export function alignAgain(pool: AligningPool, client: Session, server: ServerConnection): boolean {
  const isShared = server.linkEndsWhenIdle && !server.isPinned && client.listener === null;
  if (!pool.isHeld || !isShared || !client.hasMore || !server.isClean) return pool.align(client, server);
  // It may be another pool's: a standby's.
  server.releaseIfIdle();
  return true;
}

/** False when the client must wait; {@link alignmentDone} lets it go on. */
export function align(client: Session, server: ServerConnection): boolean {
  const { parameters, settings, prepared } = client;
  const isKnown = !server.mayHoldOthersSettings;
  const isSame =
    parameters === server.parameters && settings === server.settings && prepared === server.prepared;
  if (isSame && isKnown) return true;
  const difference = isKnown ? differenceBetween(client, server) : differenceFromReset(client, server);
  if (difference === null) return true;
  const { query, names, statements, resets } = difference;
  if (query === null && !resets) {
    server.prepared = prepared;
    server.prepareBySql(statements);
    return true;
  }
  const isTrial = client.phase === 'welcoming';
  const isGuarded = query !== null && !isTrial && server.guard !== 'refused';
  // RESET ALL takes the guard away, so that for a moment an error, of a cancel request, would end nobody.
  const isAwaited = isTrial || resets || server.guard !== 'works';
  if (isAwaited) server.linkEndsWhenIdle = false;
  const alignment = { settings, prepared, statements, names, isGuarded, isAwaited };
  const guarded = isGuarded ? errorGuard.around(query) : query;
  // Before the guard, which is a setting, too.
  const commands = [resets ? 'RESET ALL' : null, guarded].filter((command) => command !== null);
  server.runOwnQuery(commands.join('; '), alignment);
  if (!isAwaited) server.prepareBySql(statements);
  return !isAwaited;
}

/** The query is over, and the server connection with it is not. */
export function alignmentDone(
  pool: AligningPool,
  server: ServerConnection,
  { error }: OwnQuery,
  alignment: Alignment,
): void {
  const client = server.link as Session | null;
  const { isAwaited, isGuarded } = alignment;
  if (error === null) {
    server.settings = alignment.settings;
    server.mayHoldOthersSettings = false;
    server.prepared = alignment.prepared;
    if (isGuarded) server.guard = 'works';
    if (isAwaited) server.prepareBySql(alignment.statements);
  }
  // Its client has left while it was being prepared: it comes back through finishedAlone().
  if (client === null) return;
  if (isAwaited) server.linkEndsWhenIdle = pool.sharesServers && !server.isPinned;
  if (error !== null) return refused(pool, client, server, error, alignment);
  // The server's spelling is the truth from now on: UTF8 for a client that asked for utf-8.
  client.parameters = server.parameters;
  if (isAwaited) pool.goOn(client);
}

/** An error that has ended nobody: the guard was not in force, or there was none. */
function refused(
  pool: AligningPool,
  client: Session,
  server: ServerConnection,
  error: ErrorFields,
  { isAwaited, isGuarded, names, prepared }: Alignment,
): void {
  if (isGuarded) server.guard = 'refused';
  // What its client has sent may have run, without what it has set.
  if (!isAwaited) return client.fail(error);
  if (isGuarded) {
    if (align(client, server)) pool.goOn(client);
    return;
  }
  if (client.phase !== 'ready' || server.isPinned) return client.fail(error);
  // Not all of it is undone by an error: DEALLOCATE isn't.
  if (prepared !== server.prepared) server.closeReason = UNFIT;
  pool.giveBack(client);
  client.unserved(alignmentRefusal(error, names), null, true);
}
