/**
 * What a session keeps behind its transactions: settings, which can be given to another server connection, and what only
 * the server connection itself has, which pins the link with a reason. The server is asked for it (state-probe.ts), since
 * nobody else knows what ROLLBACK, SET LOCAL or a function have made of it.
 */
import { isSettable, type ParameterSet, quoteLiteral } from './parameters.js';

/** What keeps a link from ending with its transaction; a set of bits. */
export const Pin = {
  NONE: 0,
  /** Objects in the session's temporary schema. */
  TEMPORARY: 1,
  /** Session advisory locks. */
  LOCK: 2,
  /** Cursors WITH HOLD. */
  CURSOR: 4,
  /** Statements that were prepared by SQL. */
  PREPARED: 8,
  /** It listens. */
  CHANNEL: 16,
  /** A library that LOAD has brought; the server connection can't get rid of it. */
  LIBRARY: 32,
  /** `currval` and `lastval` belong to the session. */
  SEQUENCE: 64,
  /** Something that no query shows: setseed(), a backup under way, a replication origin. */
  UNSEEN: 128,
  /** Settings of more than `STATE_BYTES_MAX`. */
  SETTINGS_SIZE: 256,
  /** More than `CUSTOM_SETTINGS_MAX` settings with a dot in their names. */
  SETTINGS_COUNT: 512,
  /** Such settings whose names the text didn't tell. */
  SETTING_NAMES: 1024,
  /** The state could not be asked for. */
  UNANSWERED: 2048,
} as const;

/** The state of a session between two transactions, as its server has told it. */
export interface FoundState {
  /** Settings that were made in the session, by their names, in the form that `set_config` takes. */
  readonly settings: ReadonlyMap<string, string>;
  /** {@link Pin} bits. */
  readonly pins: number;
  /** The channels that the server connection listens to. */
  readonly channels: readonly string[];
  /** The texts of the statements that SQL's PREPARE has made, by their names. */
  readonly statements: ReadonlyMap<string, string>;
  /** What {@link REPLAY_SETTING} says. */
  readonly replay: string;
}

/** Stands for what is too much to be read. */
export const TOO_LARGE: FoundState = Object.freeze({
  settings: new Map(),
  pins: Pin.SETTINGS_SIZE,
  channels: [],
  statements: new Map(),
  replay: '',
});

/**
 * Made where a client's channels are listened to again for an UNLISTEN that is to come, in its transaction: it is there
 * afterwards if that has been carried out. Never twice the same.
 */
export const REPLAY_SETTING = 'sluice.replay';

/** Settings that say who the session is: others are made before these take effect, and after they are taken back. */
export const ROLE = 'role';
export const SESSION_AUTHORIZATION = 'session_authorization';
/** What `role` is when there is none. */
export const NO_ROLE = 'none';
const IDENTITY: ReadonlySet<string> = new Set([ROLE, SESSION_AUTHORIZATION]);

/** One end of a link. */
export interface StateHolder {
  /** What the server reports by itself. */
  readonly parameters: ParameterSet;
  /** What it does not report, as far as the session has set it. */
  readonly settings: ParameterSet;
  /** The texts of statements that were prepared by SQL, by their names. */
  readonly prepared: ParameterSet;
}

/** What a server connection must be given to have what another session has. */
export interface Difference {
  /** Null: there is nothing to be changed, or taken back. */
  readonly query: string | null;
  /** The names of what it changes. */
  readonly names: readonly string[];
  /** Statements that are to be prepared behind it: their texts, by their names. */
  readonly statements: ReadonlyMap<string, string>;
  /** Before it, everything is to be RESET: there may be settings that nobody knows of. */
  readonly resets: boolean;
}

/** A call of `set_config`; null: the value with which the session began, as RESET gives it. */
type Change = readonly [name: string, literal: string | null];

/**
 * What gives a server connection what `wanted` has; null when there is no difference. `set_config` and not SET, since it
 * takes lists (search_path) in the form that they are reported, and everything in one statement: all or nothing.
 */
export function differenceBetween(wanted: StateHolder, actual: StateHolder): Difference | null {
  return difference(wanted, actual, false);
}

/** The same for a server connection on which there may be settings that nobody knows of. */
export function differenceFromReset(wanted: StateHolder, actual: StateHolder): Difference {
  const left = new Map([...actual.settings.values].filter(([name]) => IDENTITY.has(name)));
  const afterReset = { ...AFTER_RESET, settings: { values: left }, prepared: actual.prepared };
  return difference(wanted, afterReset, true) ?? { query: null, names: [], statements: NONE, resets: true };
}

const AFTER_RESET = { parameters: { values: new Map() } };

function difference(wanted: StateHolder, actual: StateHolder, resets: boolean): Difference | null {
  const changes = reportedChanges(wanted.parameters, actual.parameters);
  if (wanted.settings !== actual.settings) addSettings(changes, wanted, actual);
  const dropped = without(actual.prepared, wanted.prepared);
  const statements = without(wanted.prepared, actual.prepared);
  if (changes.length + dropped.size + statements.size === 0) return null;
  const commands = [...dropped.keys()].map((name) => `DEALLOCATE ${quoteName(name)}`);
  if (changes.length > 0) commands.unshift(`SELECT ${changes.map(setConfig).join(', ')}`);
  // Else it would be as much as the last client has left to its own statements.
  if (commands.length > 0 && actual.settings.values.has('statement_timeout')) {
    commands.unshift("SET LOCAL statement_timeout = '0'");
  }
  const query = commands.length === 0 ? null : commands.join('; ');
  return { query, names: [...new Set(changes.map(([name]) => name))], statements, resets };
}

/** What `set` has and `other` hasn't. */
function without(set: ParameterSet, other: ParameterSet): ReadonlyMap<string, string> {
  if (set === other) return NONE;
  return new Map([...set.values].filter(([name, text]) => other.values.get(name) !== text));
}

const NONE: ReadonlyMap<string, string> = new Map();

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function reportedChanges(wanted: ParameterSet, actual: ParameterSet): Change[] {
  const changes: Change[] = [];
  if (wanted === actual) return changes;
  for (const [name, value] of wanted.values) {
    if (isSettable(name) && actual.values.get(name) !== value) changes.push([name, quoteLiteral(value)]);
  }
  return changes;
}

function addSettings(
  changes: Change[],
  { settings: { values: wanted }, parameters }: StateHolder,
  { settings: { values: actual } }: StateHolder,
): void {
  const names = new Set([...actual.keys(), ...wanted.keys()]);
  const changed = [...names].filter((name) => wanted.get(name) !== actual.get(name));
  if (changed.length === 0) return;
  const change = (name: string) => {
    const value = wanted.get(name);
    if (value !== undefined) changes.push([name, quoteText(value)]);
    else if (!parameters.values.has(name)) changes.push([name, null]);
  };
  for (const name of changed) if (!IDENTITY.has(name) && name !== EXIT_ON_ERROR) change(name);
  // As who it logged in: only so may it set what it once could, and become somebody else.
  for (const name of [SESSION_AUTHORIZATION, ROLE]) {
    if (actual.has(name)) changes.unshift([name, null]);
  }
  for (const name of [SESSION_AUTHORIZATION, ROLE]) {
    const value = wanted.get(name);
    if (value !== undefined) changes.push([name, quoteText(value)]);
  }
  // A client's own is not to end what guards the others.
  if (changed.includes(EXIT_ON_ERROR)) change(EXIT_ON_ERROR);
}

const EXIT_ON_ERROR = 'exit_on_error';

function setConfig([name, literal]: Change): string {
  return `pg_catalog.set_config(${quoteText(name)}, ${literal ?? 'NULL'}, false)`;
}

/** A text that means the same whatever standard_conforming_strings and client_encoding are. */
export function quoteText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what isn't ASCII
  if (!/[^\x00-\x7f]/.test(text)) return quoteLiteral(text);
  const hex = Buffer.from(text, 'utf8').toString('hex');
  return `pg_catalog.convert_from(pg_catalog.decode('${hex}', 'hex'), 'UTF8')`;
}
