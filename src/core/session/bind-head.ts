/** The beginning of a Bind, with the name that its statement has on servers. */
import { copyBytes } from '../../wire/bytes.js';
import { HEADER_BYTES } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';

const SCRATCH_BYTES = 1024;
const sharedScratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/**
 * By hand, since every use of a prepared statement comes here: header, portal and `serverName`. The message of `total`
 * bytes at `position` has zero bytes at `portalEnd` and `nameEnd`. The result is overwritten by the next one; it may be
 * longer than what counts, which is up to the portal's end and the name.
 */
export function bindHead(
  total: number,
  bytes: Uint8Array,
  position: number,
  portalEnd: number,
  nameEnd: number,
  serverName: Uint8Array,
): Buffer {
  const needed = portalEnd + 1 - position + serverName.length;
  const head = needed <= SCRATCH_BYTES ? sharedScratch : Buffer.allocUnsafe(needed);
  head[0] = Frontend.Bind;
  head.writeInt32BE(total - 1 - (nameEnd - portalEnd) + serverName.length, 1);
  const length = copyBytes(bytes, position + HEADER_BYTES, portalEnd + 1, head, HEADER_BYTES);
  copyBytes(serverName, 0, serverName.length, head, length);
  return head;
}
