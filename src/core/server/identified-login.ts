/**
 * Logins that find out which server they have reached, so that one on this machine can be served over its unix socket
 * (core/local-sockets.ts): over TCP whether there is a socket and who the server is, over the socket whether it is the same.
 */
import * as Backend from '../../wire/backend.js';
import { buildQuery } from '../../wire/client-messages.js';
import { type ErrorFields, readErrorFields } from '../../wire/error-fields.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import { readDataRow } from '../../wire/server-messages.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { LocalSocket } from '../authority.js';
import type { Shortcut } from '../io.js';
import { TERMINATE } from './own-messages.js';
import { connectionFailure } from './server-errors.js';
import type { LoginDialogue, LoginProgress } from './server-login.js';

/**
 * When the server was started, to the microsecond; and what shows that it is PostgreSQL itself that answers, not a pooler
 * before it: its process is the one that BackendKeyData names, and its client is here. Depends on no setting: names have
 * their schema, and the time is in its binary form.
 */
const QUESTION = buildQuery(
  "SELECT pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.pg_postmaster_start_time()), 'hex'), " +
    'pg_catalog.pg_backend_pid(), pg_catalog.inet_client_addr() IS NULL',
);

type Send = (message: Uint8Array) => void;

abstract class IdentifiedLogin implements LoginDialogue {
  farewell: string | null = null;
  /** Code of the first AuthenticationXXX message. */
  protected authentication: number | null = null;
  protected readonly send: Send;
  private readonly login: LoginDialogue;
  private phase: 'login' | 'between' | 'asked' = 'login';
  private answer: string | null = null;

  constructor(login: LoginDialogue, send: Send) {
    this.login = login;
    this.send = send;
  }

  get parameters(): ReadonlyMap<string, string> {
    return this.login.parameters;
  }

  get processId(): number {
    return this.login.processId;
  }

  get secret(): Uint8Array {
    return this.login.secret;
  }

  keyDerived(saltedPassword: Uint8Array | null): LoginProgress {
    return this.login.keyDerived(saltedPassword);
  }

  message(type: number, bytes: Uint8Array, start: number, end: number): LoginProgress {
    // A session that has begun may be told of anything.
    if (
      this.phase !== 'login' &&
      (type === Backend.NoticeResponse || type === Backend.NotificationResponse)
    ) {
      return 'more';
    }
    if (this.phase === 'asked' && type !== Backend.ParameterStatus)
      return this.answered(type, bytes, start, end);
    if (this.authentication === null && type === Backend.Authentication && end - start >= 4) {
      this.authentication = Buffer.from(bytes.buffer, bytes.byteOffset + start, 4).readInt32BE();
      const refusal = this.refusal(this.authentication);
      if (refusal !== null) return refusal;
    }
    const progress = this.login.message(type, bytes, start, end);
    if (progress !== 'ready') return progress;
    this.phase = 'between';
    return this.loggedIn();
  }

  /** Why a server that asks for this kind of password is not to be answered; null: it is. */
  protected abstract refusal(authentication: number): ErrorFields | null;
  protected abstract loggedIn(): LoginProgress;
  /** What tells the server from others; null: nothing does. */
  protected abstract identified(server: string | null): LoginProgress;
  /** Whether the server sees its client come over a unix socket. */
  protected abstract readonly isOverSocket: boolean;

  protected ask(): LoginProgress {
    this.phase = 'asked';
    this.send(QUESTION);
    return 'more';
  }

  private answered(type: number, bytes: Uint8Array, start: number, end: number): LoginProgress {
    try {
      return this.understand(type, bytes, start, end);
    } catch (error) {
      if (error instanceof ProtocolViolation) return connectionFailure(error.message);
      throw error;
    }
  }

  private understand(type: number, bytes: Uint8Array, start: number, end: number): LoginProgress {
    switch (type) {
      case Backend.DataRow:
        this.answer = this.read(readDataRow(bytes, start, end));
        return 'more';
      case Backend.ErrorResponse: {
        const error = readErrorFields(bytes, start, end);
        return error.severity === 'ERROR' ? 'more' : error;
      }
      case Backend.ReadyForQuery:
        this.phase = 'between';
        return this.identified(this.answer);
      case Backend.RowDescription:
      case Backend.CommandComplete:
        return 'more';
      default:
        return connectionFailure(`unexpected message type 0x${type.toString(16)} from server during login`);
    }
  }

  private read(row: readonly (Uint8Array | null)[]): string | null {
    const [startedAt, processId, isLocal] = row.map((value) => Buffer.from(value ?? []).toString('latin1'));
    const isItself =
      processId === String(this.login.processId) && isLocal === (this.isOverSocket ? 't' : 'f');
    return isItself && startedAt ? startedAt : null;
  }
}

/** What a login over TCP has to do with. */
export interface SocketSearch {
  /** Asks for the server's socket; `done` is called later, with null if there is none. */
  look(done: (socket: LocalSocket | null) => void): void;
  /** The socket is worth a connection. */
  found(socket: LocalSocket, facts: Pick<Shortcut, 'authentication' | 'server'>): void;
  nothingFound(): void;
  /** The login goes on with this, unless its connection has gone meanwhile. */
  goOn(step: () => LoginProgress): void;
}

/**
 * A login over TCP. Where the server has a socket the connection has done its duty, and is ended: by the server, which has
 * made room for another one by then. Otherwise it serves.
 */
export class SearchingLogin extends IdentifiedLogin {
  protected readonly isOverSocket = false;
  private readonly search: SocketSearch;
  private socket: LocalSocket | null = null;

  constructor(login: LoginDialogue, send: Send, search: SocketSearch) {
    super(login, send);
    this.search = search;
  }

  protected refusal(): null {
    return null;
  }

  protected loggedIn(): LoginProgress {
    this.search.look((socket) => {
      this.socket = socket;
      this.search.goOn(() => (socket === null ? this.serve() : this.ask()));
    });
    return 'more';
  }

  protected identified(server: string | null): LoginProgress {
    if (server === null) return this.serve();
    this.search.found(this.socket!, {
      server,
      authentication: this.authentication ?? Backend.AuthenticationOk,
    });
    this.farewell = SOCKET_FOUND;
    this.send(TERMINATE);
    return 'more';
  }

  private serve(): LoginProgress {
    this.search.nothingFound();
    return 'ready';
  }
}

/** A login over a socket that nobody has configured: it serves if it keeps what the login over TCP has promised. */
export class ShortcutLogin extends IdentifiedLogin {
  protected readonly isOverSocket = true;
  private readonly shortcut: Shortcut;
  private readonly confirmed: () => void;

  constructor(login: LoginDialogue, send: Send, shortcut: Shortcut, confirmed: () => void) {
    super(login, send);
    this.shortcut = shortcut;
    this.confirmed = confirmed;
  }

  protected refusal(authentication: number): ErrorFields | null {
    return authentication === this.shortcut.authentication ? null : OTHER_AUTHENTICATION;
  }

  protected loggedIn(): LoginProgress {
    return this.ask();
  }

  protected identified(server: string | null): LoginProgress {
    if (server !== this.shortcut.server) return connectionFailure('it leads to another server');
    this.confirmed();
    return 'ready';
  }
}

/** For the log. */
const SOCKET_FOUND = 'the server has a unix socket';

const OTHER_AUTHENTICATION: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.invalid_authorization_specification,
  message: 'it asks for another kind of authentication than TCP does',
};
