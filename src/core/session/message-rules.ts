/** What PostgreSQL does with kinds of messages, whatever is in them. */
import * as Frontend from '../../wire/frontend.js';

/** What a server ignores between an error and the next Sync. */
export const SKIPPED: ReadonlySet<number> = new Set([
  Frontend.Query,
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Close,
  Frontend.Execute,
  Frontend.FunctionCall,
  Frontend.Flush,
  Frontend.CopyData,
  Frontend.CopyDone,
  Frontend.CopyFail,
]);

/** Messages that PostgreSQL keeps short (PQ_SMALL_MESSAGE_LIMIT). */
export const SMALL: ReadonlySet<number> = new Set([
  Frontend.Close,
  Frontend.CopyDone,
  Frontend.CopyFail,
  Frontend.Describe,
  Frontend.Execute,
  Frontend.Flush,
  Frontend.Sync,
  Frontend.Terminate,
]);

/** Their bound, header included. Bytes. */
export const SMALL_MESSAGE_BYTES_MAX = 10_001;
