/**
 * Deliberate defects within the core: each is a trap of the protocol fallen into. They replace methods, so that the
 * product has no switch for them; whoever renames such a method is told by the test.
 */
import { Listener } from '../src/core/listening/listener.js';
import { Pool } from '../src/core/pool/pool.js';
import { ProtocolPolicy } from '../src/core/pool/protocol-policy.js';
import { FreshAnswer } from '../src/core/pool/remains.js';
import { errorGuard } from '../src/core/server/error-guard.js';
import { Exchange } from '../src/core/server/exchange.js';
import { ShortcutLogin } from '../src/core/server/identified-login.js';
import { type PreparedEntry, PreparedStatements } from '../src/core/server/prepared.js';
import * as Request from '../src/core/server/request-queue.js';
import { ServerAnswers } from '../src/core/server/server-answers.js';
import { ServerConnection } from '../src/core/server/server-connection.js';
import { ServerEncryption } from '../src/core/server/server-encryption.js';
import { ServerStatements } from '../src/core/server/server-statements.js';
import { ClientEncryption } from '../src/core/session/client-encryption.js';
import { ClientLogin } from '../src/core/session/client-login.js';
import { Session } from '../src/core/session/session.js';
import { StatefulClient } from '../src/core/session/stateful-client.js';
import { StatementTraffic } from '../src/core/session/statement-traffic.js';
import { StatementCatalogue } from '../src/core/statements.js';
import * as Backend from '../src/wire/backend.js';
import { SWALLOW } from '../src/wire/framing.js';
import * as Frontend from '../src/wire/frontend.js';
import type { StartupMessage } from '../src/wire/startup.js';
import type { Fault } from './fault.js';
import { type Replacement, replaceMethod, restoreAll } from './replace-method.js';

function inMethod<This extends object>(
  prototype: This,
  name: string,
  replacement: Replacement<This>,
): Pick<Fault, 'install'> {
  return { install: () => replaceMethod(prototype, name, replacement) };
}

/** A Parse's body behind the name, without the types of its parameters. */
function withoutTypes(bytes: Uint8Array, start: number): Uint8Array {
  const textEnd = bytes.indexOf(0, start) + 1;
  return Buffer.concat([bytes.subarray(start, textEnd), Buffer.from([0, 0])]);
}

const leaveTypesOut: Replacement<StatementCatalogue> = (_, args, original) => {
  const definition = withoutTypes(args[0] as Uint8Array, args[1] as number);
  return original(definition, 0, definition.length);
};

export const CORE_FAULTS = {
  'answers made by the gateway overtake others': inMethod(
    ServerConnection.prototype,
    'answerLocally',
    (server, [kind]) => {
      const answer = kind === Request.PARSE ? Backend.ParseComplete : Backend.CloseComplete;
      server.link?.fromServer(Uint8Array.of(answer, 0, 0, 0, 4), 0, 5);
    },
  ),
  'skipped requests stay owed': inMethod(Exchange.prototype, 'failed', () => []),
  'Flush is dropped': inMethod(Session.prototype, 'message', (_, args, original) =>
    args[0] === Frontend.Flush ? SWALLOW : original(...args),
  ),
  'parameter types are no part of a statement': {
    install: () =>
      restoreAll([
        replaceMethod(StatementCatalogue.prototype, 'find', leaveTypesOut),
        replaceMethod(StatementCatalogue.prototype, 'define', leaveTypesOut),
      ]),
  },
  'a statement counts as prepared once its Parse is sent': {
    install: () =>
      restoreAll([
        replaceMethod(PreparedStatements.prototype, 'parsing', (_, args, original) => {
          const entry = original(...args) as PreparedEntry;
          entry.confirmed = true;
          return entry;
        }),
        replaceMethod(PreparedStatements.prototype, 'notParsed', () => {}),
      ]),
  },
  'an eviction that is skipped counts': inMethod(
    PreparedStatements.prototype,
    'notClosed',
    (statements, [entry]) => statements.closed(entry as PreparedEntry),
  ),
  'the unnamed statement stays behind': inMethod(StatementTraffic.prototype, 'useUnnamed', () => {}),
  'statements that the server has dropped are counted on': inMethod(
    ServerStatements.prototype,
    'dropped',
    () => {},
  ),
  'PREPARE in SQL does not pin (session_state classic)': inMethod(
    ServerAnswers.prototype,
    'keepLink',
    () => {},
  ),
  'what a session leaves on its server connection does not pin it': inMethod(
    ServerConnection.prototype,
    'pin',
    () => {},
  ),
  'what sessions leave in their processes is overlooked': inMethod(
    FreshAnswer.prototype,
    'isAsNew',
    () => true,
  ),
  'a session is not asked for its state': inMethod(StatefulClient.prototype, 'effectsOf', () => 0),
  'settings stay behind': inMethod(Pool.prototype, 'align', (_, args, original) => {
    const [client, server] = args as [Session, ServerConnection];
    if (client.phase === 'ready') server.settings = client.settings;
    return original(...args);
  }),
  'statements prepared by SQL stay behind': inMethod(Pool.prototype, 'align', (_, args, original) => {
    const [client, server] = args as [Session, ServerConnection];
    if (client.phase === 'ready') server.prepared = client.prepared;
    return original(...args);
  }),
  'notifications come over the own server connection, too': inMethod(
    Listener.prototype,
    'serves',
    () => false,
  ),
  'a server connection that is lent on goes on listening': inMethod(
    Listener.prototype,
    'leaveLinkToOthers',
    (listener, _, original) => {
      listener['isLinkListening'] = false;
      return original();
    },
  ),
  'notifications come within transactions': inMethod(Listener.prototype, 'flush', (_, _args, original) =>
    original(true),
  ),
  'ReadyForQuery does not wait for notifications': inMethod(Listener.prototype, 'beforeReady', () => true),
  'UNLISTEN is sent where nothing is listened to': inMethod(Listener.prototype, 'replay', (listener) => {
    listener.wantsReplay = false;
  }),
  'the shared connection listens when the LISTEN is over': inMethod(
    Listener.prototype,
    'claim',
    (listener, args) => {
      for (const name of args[0] as string[]) {
        listener['claimed'].add(name);
        listener['hub'].add(name, listener);
      }
      return true;
    },
  ),
  'parameters stay behind': inMethod(Pool.prototype, 'link', (_, args, original) => {
    const [client, server] = args as [Session, ServerConnection];
    if (client.phase === 'ready') client.parameters = server.parameters;
    return original(...args);
  }),
  'what a session has set is not guarded against errors': {
    install() {
      const { around } = errorGuard;
      errorGuard.around = (query) => query;
      return () => {
        errorGuard.around = around;
      };
    },
  },
  'a notice counts as an answer': inMethod(
    ServerConnection.prototype,
    'message',
    (server, args, original) => {
      if (args[0] === Backend.NoticeResponse && server.exchange.outstanding > 0) server.exchange.complete();
      return original(...args);
    },
  ),
  'a server connection is handed on while it is being cancelled': inMethod(
    Pool.prototype,
    'available',
    (_, args, original) => {
      const [server] = args as [ServerConnection];
      const { cancelsInFlight } = server;
      server.cancelsInFlight = 0;
      original(...args);
      server.cancelsInFlight = cancelsInFlight;
    },
  ),
  'CopyDone outside of COPY is owed an answer': inMethod(
    Exchange.prototype,
    'expect',
    (exchange, args, original) => {
      const isStray = args[0] === Request.COPY_END && exchange.outstanding === 0;
      original(...(isStray ? [Request.FUNCTION_CALL, null] : args));
    },
  ),
  'every Sync is owed an answer': inMethod(
    Request.RequestQueue.prototype,
    'dropSyncsBeforeCopyEnd',
    (queue) => {
      const isEnd = ([request]: [number, unknown]) => request === Request.COPY_END;
      return { dropped: 0, ended: [...queue.entries()].some(isEnd) };
    },
  ),
  'a function call is owed no answer': inMethod(Session.prototype, 'request', (_, args, original) =>
    original(...(args[0] === Request.FUNCTION_CALL ? [Request.BIND] : args)),
  ),
  'errors are told twice': inMethod(Session.prototype, 'fromServer', (_, args, original) => {
    const [bytes, start] = args as [Uint8Array, number, number];
    if (bytes[start] === Backend.ErrorResponse) original(...args);
    return original(...args);
  }),
  'the protocol version is not negotiated': inMethod(ClientLogin.prototype, 'begin', (_, args, original) => {
    const [startup] = args as [StartupMessage];
    return original({ ...startup, minor: 0, protocolOptions: [] });
  }),
  'every server is asked for the newest protocol': inMethod(ProtocolPolicy.prototype, 'next', () => 2),
  'anybody may be at the other end of a unix socket': inMethod(
    ServerEncryption.prototype,
    'isGenuine',
    () => true,
  ),
  'a unix socket may ask for any password': inMethod(ShortcutLogin.prototype, 'refusal', () => null),
  'bytes behind SSLRequest are read': inMethod(ClientEncryption.prototype, 'request', (_, [kind], original) =>
    original(kind, 0),
  ),
} as const satisfies Readonly<Record<string, Fault>>;
