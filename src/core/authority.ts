/**
 * What the core asks of the control plane, because the answer takes I/O: about a client's identity a query to a database, a
 * login at an LDAP server, the system's list of users; about a server its addresses and its unix socket; about a statement
 * where it may run. Values only: they cross between threads.
 */
import type { ErrorFields } from '../wire/error-fields.js';
import type { ServerAddress } from './io.js';
import type { RouteAnswer, RouteQuestion } from './route/route-questions.js';
import type { UserSecret } from './settings.js';

/** Where an `auth_query` is run, and as whom. */
export interface AuthTarget {
  /** Tried in their order. */
  readonly addresses: readonly ServerAddress[];
  /** The cluster, or the source of nodes, that knows of servers to try before; null: there is none. */
  readonly nodesOf: string | null;
  /** The database's name on the server. */
  readonly database: string;
  readonly user: string;
  readonly secret: UserSecret;
}

/** Asks a database for a user's secret (PgBouncer's `auth_query`). */
export interface UserLookup {
  readonly kind: 'user';
  readonly target: AuthTarget;
  /** SQL with `$1`, the user's name. */
  readonly query: string;
  readonly userName: string;
}

/** How a password is checked at an LDAP server: the options of an `ldap` line, as PostgreSQL names them. */
export interface LdapServer {
  readonly scheme: 'ldap' | 'ldaps';
  /** Host names, tried in their order. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** StartTLS before anything else (`ldaptls`). */
  readonly startTls: boolean;
  readonly bind: LdapBind;
}

export type LdapBind =
  /** The user's name stands between the two (`ldapprefix`, `ldapsuffix`). */
  | { readonly kind: 'simple'; readonly prefix: string; readonly suffix: string }
  /** The entry is searched, and its name used to log in. */
  | {
      readonly kind: 'search';
      readonly baseDn: string;
      readonly scope: 'base' | 'one' | 'sub';
      /** Who searches; empty: nobody in particular. */
      readonly bindDn: string;
      readonly bindPassword: string;
      /** RFC 4515; `$username` stands for the user's name. */
      readonly filter: string;
    };

/** Asks an LDAP server whether a password is a user's. */
export interface LdapCheck {
  readonly kind: 'ldap';
  readonly server: LdapServer;
  readonly userName: string;
  readonly password: string;
}

/** Asks for the name of a user of the system. */
export interface SystemUserLookup {
  readonly kind: 'systemUser';
  readonly uid: number;
}

/** A login has failed with what a lookup has found: the answer may be out of date. Its own answer means nothing. */
export interface UserFailed {
  readonly kind: 'userFailed';
  readonly lookup: UserLookup;
}

/** Asks for the addresses of a host name. */
export interface HostLookup {
  readonly kind: 'host';
  readonly name: string;
}

/**
 * Asks for the unix socket of the server that listens at this loopback address: one that the listener's own user has made,
 * with its port in its name.
 */
export interface LocalSocketLookup {
  readonly kind: 'localSocket';
  readonly host: string;
  readonly port: number;
  /** Where to look; null: in the usual folders. */
  readonly folder: string | null;
}

/** A unix socket that may lead to a server on this machine. */
export interface LocalSocket {
  readonly path: string;
  /** The user that has made it, and that listens at the TCP address, too. */
  readonly uid: number;
}

/** About a client. */
export type IdentityQuestion = UserLookup | UserFailed | LdapCheck | SystemUserLookup;

export type AuthorityQuestion = IdentityQuestion | HostLookup | LocalSocketLookup | RouteQuestion;

/** `failed`: the client is told `error`; what operators need to know is logged already. */
export type AuthorityAnswer =
  | { readonly kind: 'user'; readonly name: string; readonly secret: UserSecret }
  | { readonly kind: 'unknownUser' }
  | { readonly kind: 'verdict'; readonly accepted: boolean }
  | { readonly kind: 'systemUser'; readonly name: string | null }
  /** In the order in which they are to be tried; at least one. */
  | { readonly kind: 'host'; readonly addresses: readonly string[] }
  /** Null: there is none, or it can't be told whose it is. */
  | { readonly kind: 'localSocket'; readonly socket: LocalSocket | null }
  | RouteAnswer
  | { readonly kind: 'failed'; readonly error: ErrorFields };
