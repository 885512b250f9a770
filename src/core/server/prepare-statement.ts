/** Has a server connection prepare a statement for its client, within the client's batch. */
import type { Statement } from '../statements.js';
import * as Request from './request-queue.js';
import type { ServerConnection } from './server-connection.js';
import { closeMessage, parseMessage } from './statement-messages.js';

const NO_NAME = Uint8Array.of(0);

export interface Preparation {
  /** Non-null: for the client's own Parse of this name, whose answer is passed on. */
  readonly clientName: string | null;
  /** The server may have it, and is to parse it all the same. */
  readonly mayExist: boolean;
}

/**
 * Sends Parse for a statement, and Close for those that are more than `maxPreparedStatements`.
 * @param insert sends a message behind what the client has sent before
 */
export function prepareStatement(
  link: ServerConnection,
  statement: Statement,
  { clientName, mayExist }: Preparation,
  maxPreparedStatements: number,
  insert: (message: Uint8Array) => void,
): void {
  const { exchange, statements } = link;
  const { batch } = exchange;
  if (mayExist || statements.missing(statement, exchange) === 'close-and-parse') {
    // Told from one that concerns the unnamed statement, if it is skipped.
    const close = { what: 'close', statement, entry: null, clientName: null, batch } as const;
    link.expect(Request.CLOSE | Request.SWALLOWED, close);
    insert(closeMessage(statement.serverName));
  }
  const entry = statements.named.parsing(statement, batch);
  const request = clientName === null ? Request.PARSE | Request.SWALLOWED : Request.PARSE;
  link.expect(request, { what: 'parse', statement, entry, clientName, batch });
  insert(parseMessage(statement.serverName, statement.definition));
  for (;;) {
    const evicted = statements.named.evict(maxPreparedStatements);
    if (evicted === null) return;
    const close = { what: 'close', statement: evicted.statement, entry: evicted, clientName: null } as const;
    link.expect(Request.CLOSE | Request.SWALLOWED, { ...close, batch });
    insert(closeMessage(evicted.statement.serverName));
  }
}

/** What is to be sent so that the unnamed statement is its client's; null: it is. @param definition null: there is none */
export function prepareUnnamed(
  link: ServerConnection,
  definition: { readonly bytes: Uint8Array } | null,
): Uint8Array | null {
  if (link.statements.unnamed === definition) return null;
  link.statements.unnamed = definition;
  if (definition === null) {
    link.expect(Request.CLOSE | Request.SWALLOWED);
    return closeMessage(NO_NAME);
  }
  link.expect(Request.PARSE_UNNAMED | Request.SWALLOWED);
  return parseMessage(NO_NAME, definition.bytes);
}
