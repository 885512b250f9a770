/**
 * Connection URLs as PostgreSQL's clients write them (libpq, "Connection URIs"), and the forms of `--database`:
 * `postgres://user:password@host:port/db?host=/run/postgresql`, with another client-visible name as `NAME=URL`.
 */
import { nearestName } from './nearest-name.js';

/** The keys of an entry of `databases`, all of which a URL may have as parameters (`?pool_size=5`). */
const PARAMETERS = [
  'host',
  'port',
  'dbname',
  'user',
  'password',
  'pool_size',
  'min_pool_size',
  'reserve_pool_size',
  'pool_mode',
  'max_db_connections',
  'max_db_client_connections',
  'server_lifetime',
  'query_wait_timeout',
  'query_wait_fail_fast',
  'session_state',
  'on_pin',
  'nodes',
  'nodes_from',
  'cluster',
  'target_session_attrs',
  'consistency',
  'load_balance_hosts',
  'server_unix_socket',
  'connect_query',
  'client_encoding',
  'datestyle',
  'timezone',
  'application_name',
  'auth_user',
  'auth_query',
  'auth_dbname',
] as const;

/** What a URL says; what it doesn't say is missing. Texts are percent-decoded, but not validated further. */
export type ServerUrl = { -readonly [Key in (typeof PARAMETERS)[number]]?: string };

/** What is wrong with a URL: a sentence that shows no secret. */
export class UrlError extends Error {}

const SCHEME = /^postgres(?:ql)?:\/\//i;
const DEFAULT_PORT = '5432';
const NAMED = /^([^=]*)=(postgres(?:ql)?:\/\/.*)$/is;
/** Both sides speak clear text, so these modes of libpq ask for nothing that would be missing. */
const CLEAR_SSL_MODES = new Set(['disable', 'allow', 'prefer']);

/**
 * Splits `NAME=URL` or `URL` into the name that clients will ask for and the rest. Without a name it is the
 * URL's database, and without that `*` (any name).
 * @throws {UrlError}
 */
export function parseDatabaseFlag(value: string): { readonly name: string; readonly server: ServerUrl } {
  const named = NAMED.exec(value);
  const server = parseServerUrl(named?.[2] ?? value);
  if (named?.[1] === '') throw new UrlError('the name before = is empty');
  return { name: named?.[1] ?? server.dbname ?? '*', server };
}

/**
 * Reads a connection URL.
 * @throws {UrlError}
 */
export function parseServerUrl(url: string): ServerUrl {
  const scheme = SCHEME.exec(url);
  if (!scheme) throw new UrlError('expected a URL like postgres://user:password@host:5432/database');
  const rest = url.slice(scheme[0].length);
  const queryStart = indexOrEnd(rest, '?');
  const pathStart = indexOrEnd(rest.slice(0, queryStart), '/');
  const server: ServerUrl = {};
  readAuthority(rest.slice(0, pathStart), server);
  const database = decode(rest.slice(pathStart + 1, queryStart), 'the database name');
  if (database !== '') server.dbname = database;
  for (const pair of rest.slice(queryStart + 1).split('&')) {
    if (pair !== '') readParameter(pair, server);
  }
  return server;
}

function indexOrEnd(text: string, character: string): number {
  const index = text.indexOf(character);
  return index < 0 ? text.length : index;
}

/** `user:password@host:port`; every part may be missing. An @ in a password need not be encoded, a / must be. */
function readAuthority(authority: string, server: ServerUrl): void {
  const at = authority.lastIndexOf('@');
  if (at >= 0) {
    const login = authority.slice(0, at);
    const colon = indexOrEnd(login, ':');
    const user = decode(login.slice(0, colon), 'the user');
    if (user !== '') server.user = user;
    if (colon < login.length) server.password = decode(login.slice(colon + 1), 'the password');
  }
  const places = authority
    .slice(at + 1)
    .split(',')
    .map(readPlace);
  if (places.some(({ host }) => host !== '')) server.host = places.map(({ host }) => host).join(',');
  if (places.some(({ port }) => port !== '')) {
    server.port = places.map(({ port }) => port || DEFAULT_PORT).join(',');
  }
}

/** `host:port`, either of which may be empty. */
function readPlace(place: string): { readonly host: string; readonly port: string } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(place);
  if (!match) {
    throw new UrlError(
      'expected host:port before the database name (percent-encode / ? # in a password: %2F %3F %23)',
    );
  }
  return { host: decode(match[1]!.replace(/^\[|\]$/g, ''), 'the host'), port: match[2] ?? '' };
}

function readParameter(pair: string, server: ServerUrl): void {
  const equals = indexOrEnd(pair, '=');
  const key = decode(pair.slice(0, equals), 'a parameter');
  const value = decode(pair.slice(equals + 1), `the parameter ${key}`);
  const known = PARAMETERS.find((parameter) => parameter === key);
  if (known) {
    server[known] = value;
  } else if (key === 'sslmode') {
    if (CLEAR_SSL_MODES.has(value)) return;
    throw new UrlError(`sslmode=${value} is not supported: connections to servers are not encrypted`);
  } else {
    const near = nearestName(key, PARAMETERS);
    const advice = near ? `did you mean ${near}?` : `known ones: ${PARAMETERS.join(', ')}`;
    throw new UrlError(`unknown URL parameter ${JSON.stringify(key)}; ${advice}`);
  }
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UrlError(`${what} has a broken percent-encoding (write a literal % as %25)`);
  }
}

/**
 * A URL for people's eyes: the password replaced by `***`, wherever it stands, in a URL with mistakes too. Any other
 * text comes back as it is.
 */
export function hidePassword(url: string): string {
  return url
    .replace(/((?:^|:\/\/)[^:/?@]*):(?!\/\/)(.*)@/s, '$1:***@')
    .replace(/([?&]password=)[^&]*/gi, '$1***');
}
