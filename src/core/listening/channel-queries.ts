/** The gateway's own LISTEN and UNLISTEN. */
import { buildBind, buildExecute, buildParse, buildQuery } from '../../wire/client-messages.js';
import { quoteLiteral } from '../parameters.js';
import type { AsideAnswered } from '../server/exchange.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import { REPLAY_SETTING } from '../session-state.js';

export const UNLISTEN_ALL: Uint8Array = buildQuery('UNLISTEN *');

export const listenTo = (channel: string): string => `LISTEN ${quoted(channel)}`;
export const unlistenTo = (channel: string): string => `UNLISTEN ${quoted(channel)}`;

function quoted(channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`;
}

/** What a client listens to, as its next statement is to find it. */
export interface Replay {
  readonly channels: Iterable<string>;
  /** The value of {@link REPLAY_SETTING}. */
  readonly mark: string;
  /** It has been done with this mark before: then it is done again only if that was undone (ROLLBACK TO). */
  readonly isRepeated: boolean;
  /** The client speaks the extended protocol, and its batch must not be torn apart. */
  readonly inBatch: boolean;
  /** Non-null, not in a batch: the client's statement waits for it. */
  readonly answered: AsideAnswered | null;
}

/**
 * Lets the linked server connection listen to a client's channels, for the client's UNLISTEN that comes next, and in its
 * transaction: what the server connection listens to afterwards is what is left of them, if {@link REPLAY_SETTING} is `mark`.
 */
export function replay(
  server: ServerConnection,
  { channels, mark, isRepeated, inBatch, answered }: Replay,
): void {
  const listens = [...channels].map(listenTo);
  const set = `pg_catalog.set_config('${REPLAY_SETTING}', '${mark}', false)`;
  const statements = isRepeated ? [unlessMarked(listens, set, mark)] : [...listens, `SELECT ${set}`];
  // In a failed transaction it fails, as the client's statement does then.
  if (!inBatch) return server.runAside(buildQuery(statements.join('; ')), false, answered);
  for (const statement of statements) {
    for (const kind of [Request.PARSE_UNNAMED, Request.BIND, Request.EXECUTE]) {
      server.expect(kind | Request.SWALLOWED);
    }
    server.send(Buffer.concat([buildParse('', statement), buildBind(), buildExecute()]));
  }
  server.statements.unnamed = null;
}

/** Channels that the client has left since must not come back. */
function unlessMarked(listens: readonly string[], set: string, mark: string): string {
  const current = `coalesce(pg_catalog.current_setting('${REPLAY_SETTING}', true), '')`;
  const body = `BEGIN IF ${current} OPERATOR(pg_catalog.<>) '${mark}' THEN ${listens.join('; ')}; PERFORM ${set}; END IF; END`;
  return `DO ${quoteLiteral(body)}`;
}
