/**
 * What becomes of the parameters in a client's startup packet. None is dropped but those that the configuration says:
 * what servers report follows the client from one server connection to another; anything else belongs to the identity
 * of its pool, whose server connections are opened with it.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import { parseStartupOptions } from './startup-options.js';

/** A client that speaks the streaming replication protocol, and how (`replication` in its startup packet). */
export type Replication = 'none' | 'physical' | 'logical';

export interface StartupParameters {
  /** By the names that servers report; as the client spelled the values. */
  readonly reported: ReadonlyMap<string, string>;
  /** By names in lower case: PostgreSQL doesn't tell them apart. */
  readonly fixed: ReadonlyMap<string, string>;
}

export interface StartupRules {
  /** `ignore_startup_parameters`. With `options` in it, what is unknown within that parameter is ignored too. */
  readonly ignored: ReadonlySet<string>;
  /** The name under which the servers of the database report a parameter; null: not that we know. */
  reportedName(name: string): string | null;
}

/** Not settings of the session. */
const OF_THE_CONNECTION = new Set(['user', 'database', 'replication']);

/** @param asked the startup packet's, without protocol options */
export function divideStartupParameters(
  asked: ReadonlyMap<string, string>,
  rules: StartupRules,
): StartupParameters | ErrorFields {
  const reported = new Map<string, string>();
  const fixed = new Map<string, string>();
  const take = (name: string, value: string, ignoresUnknown: boolean): void => {
    const known = rules.reportedName(name);
    if (known !== null) reported.set(known, value);
    else if (!ignoresUnknown && !rules.ignored.has(name)) fixed.set(name.toLowerCase(), value);
  };
  const options = asked.get('options');
  if (options !== undefined) {
    const settings = parseStartupOptions(options);
    if (settings === null) return UNSUPPORTED_OPTIONS;
    for (const [name, value] of settings) take(name, value, rules.ignored.has('options'));
  }
  // Behind the options, since parameters of their own overrule these in PostgreSQL.
  for (const [name, value] of asked) {
    if (name !== 'options' && !OF_THE_CONNECTION.has(name)) take(name, value, false);
  }
  return { reported, fixed };
}

/** A replication connection has a server connection of its own: all is passed on as the client wrote it. */
export function replicationParameters(
  asked: ReadonlyMap<string, string>,
  ignored: ReadonlySet<string>,
): StartupParameters {
  const passed = new Map<string, string>();
  for (const [name, value] of asked) {
    if (name === 'replication' || name === 'options') passed.set(name, value);
    else if (!OF_THE_CONNECTION.has(name) && !ignored.has(name)) passed.set(name, value);
  }
  return { reported: new Map(), fixed: passed };
}

/**
 * What the startup parameter `replication` asks for, read as PostgreSQL reads it (a boolean, or `database`).
 * @returns null when it is no such value
 */
export function readReplication(value: string | undefined): Replication | null {
  if (value === undefined) return 'none';
  if (value === 'database') return 'logical';
  const boolean = readBoolean(value);
  if (boolean === null) return null;
  return boolean ? 'physical' : 'none';
}

/** PostgreSQL's refusal of another value (backend_startup.c, ProcessStartupPacket). */
export function invalidReplication(value: string): ErrorFields {
  return {
    severity: 'FATAL',
    code: SqlState.invalid_parameter_value,
    message: `invalid value for parameter "replication": "${value}"`,
    hint: 'Valid values are: "false", 0, "true", 1, "database".',
  };
}

/** The application name that shows where a client is (PgBouncer's `application_name_add_host`). */
export function withHost(applicationName: string | undefined, address: string): string {
  return `${applicationName ?? 'app'} - ${address}`;
}

const WORDS: readonly [word: string, meaning: boolean, shortest: number][] = [
  ['true', true, 1],
  ['false', false, 1],
  ['yes', true, 1],
  ['no', false, 1],
  ['on', true, 2],
  ['off', false, 2],
  ['1', true, 1],
  ['0', false, 1],
];

/** As PostgreSQL's parse_bool: any beginning of a word that is not also that of its opposite. */
function readBoolean(value: string): boolean | null {
  const text = value.toLowerCase();
  for (const [word, meaning, shortest] of WORDS) {
    if (text.length >= shortest && word.startsWith(text)) return meaning;
  }
  return null;
}

const UNSUPPORTED_OPTIONS: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.protocol_violation,
  message: "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
};
