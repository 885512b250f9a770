/** Looks into the core for situations that can't be told from the bytes on the wire. */
import { Pool } from '../src/core/pool/pool.js';
import { FreshAnswer } from '../src/core/pool/remains.js';
import { Exchange } from '../src/core/server/exchange.js';
import { type PreparedEntry, PreparedStatements } from '../src/core/server/prepared.js';
import * as Request from '../src/core/server/request-queue.js';
import { ServerConnection } from '../src/core/server/server-connection.js';
import { ServerStatements } from '../src/core/server/server-statements.js';
import type { Session } from '../src/core/session/session.js';
import { replaceMethod, restoreAll } from './replace-method.js';
import type { Note } from './situations.js';

/** Calls `look` before each call of a method. */
function before<This extends object>(
  prototype: This,
  name: string,
  look: (self: This, args: readonly unknown[]) => void,
): () => void {
  return replaceMethod(prototype, name, (self, args, original) => {
    look(self, args);
    return original(...args);
  });
}

/** Reports what happens to `note` until the returned function is called. */
export function installProbes(note: Note): () => void {
  return restoreAll([
    before(ServerConnection.prototype, 'answerLocally', (server) => {
      if (server.midMessage) note('an answer made by the gateway waits for the end of a message');
      else if (server.exchange.outstanding > 0) {
        note('an answer made by the gateway waits for answers of the server');
      }
    }),
    before(PreparedStatements.prototype, 'notParsed', () => note('the Parse of a named statement fails')),
    before(PreparedStatements.prototype, 'notClosed', (_, args) => {
      if ((args[0] as PreparedEntry).evicted) note('an eviction is skipped with its batch');
    }),
    replaceMethod(PreparedStatements.prototype, 'missing', (_, args, original) => {
      const missing = original(...args);
      if (missing === 'close-and-parse') note('a statement may exist or not');
      return missing;
    }),
    before(Exchange.prototype, 'expect', (_, args) => {
      const isOurs = args[0] === (Request.PARSE_UNNAMED | Request.SWALLOWED);
      if (isOurs) note('the unnamed statement is prepared again');
    }),
    before(ServerStatements.prototype, 'dropped', (statements) => {
      if (statements.named.count > 0) note('all prepared statements are dropped');
    }),
    replaceMethod(FreshAnswer.prototype, 'isAsNew', (_, args, original) => {
      const isAsNew = original(...args);
      if (!isAsNew) note('a server process is not as it was when it was new');
      return isAsNew;
    }),
    before(ServerConnection.prototype, 'probe', () => note('a server is asked what the session holds')),
    before(ServerConnection.prototype, 'pin', ({ isPinned }, [becomesPinned]) => {
      if (becomesPinned && !isPinned) note('a session keeps its server connection');
      else if (!becomesPinned && isPinned) note('a session lets its server connection go');
    }),
    before(Pool.prototype, 'leave', (_, args) => {
      if ((args[0] as Session).link?.midMessage === true)
        note('a client leaves within a message of its answer');
    }),
  ]);
}
