/**
 * `currval()` and `lastval()` tell what the session has got from a sequence. On a server connection that has served others
 * they would tell of these, unless that is forgotten before: in the transaction where they stand, since it may be open, and
 * in the batch.
 */
import * as Backend from '../../wire/backend.js';
import { buildBind, buildClose, buildExecute, buildParse } from '../../wire/client-messages.js';
import { FORGETTING } from '../server/exchange.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { StatementClient } from './statement-client.js';

type SequenceReader = Pick<StatementClient, 'link' | 'insert'>;

const FORGET = 'DISCARD SEQUENCES';
/** On servers; it is closed as soon as it has run. */
const NAME = 'sluice_sequences';
const FORGET_IN_BATCH = Buffer.concat([
  buildParse(NAME, FORGET),
  buildBind({ portal: NAME, statement: NAME }),
  buildExecute(NAME),
  buildClose('P', NAME),
  buildClose('S', NAME),
]);

/**
 * Something that reads a sequence's value comes, at `position`. What the client itself has done to sequences there is kept,
 * and with it what is left of others: no statement takes away the one alone.
 *
 * @param inBatch it comes by the extended protocol
 * @returns false: it must be judged again when what was sent before is answered
 */
export function forgetOthersSequences(
  client: SequenceReader,
  bytes: Uint8Array,
  position: number,
  inBatch: boolean,
): boolean {
  const link = client.link as ServerConnection;
  if (!link.hasOthersSequences || link.hasOwnSequences) return true;
  const { exchange } = link;
  if (inBatch || exchange.batchOpen) {
    forgetInBatch(client, link, bytes, position);
    return true;
  }
  if (exchange.outstanding > 0 && !link.isFresh) return false;
  // There the server refuses whatever reads a sequence.
  if (exchange.status === Backend.InFailedTransaction) return true;
  link.hasOthersSequences = false;
  link.runOwnQuery(FORGET);
  return true;
}

/** If it fails, so does the batch. */
function forgetInBatch(
  client: SequenceReader,
  link: ServerConnection,
  bytes: Uint8Array,
  position: number,
): void {
  link.hasOthersSequences = false;
  link.held.drop();
  link.expect(Request.PARSE | Request.SWALLOWED);
  link.expect(Request.BIND | Request.SWALLOWED);
  link.expect(Request.EXECUTE | Request.SWALLOWED, FORGETTING);
  link.expect(Request.CLOSE | Request.SWALLOWED);
  link.expect(Request.CLOSE | Request.SWALLOWED);
  client.insert(bytes, position, FORGET_IN_BATCH);
}
