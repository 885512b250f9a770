/** The statements by which sessions keep something behind a transaction: settings, temporary tables, locks and more. */
import { REMAINS_QUESTION } from '../src/core/pool/remains.js';
import { REPLAY_SETTING } from '../src/core/session-state.js';
import { parseSelect, type Select } from './select-sql.js';

/** Custom settings exist once they are set; their names have a dot. */
export const isCustom = (name: string): boolean => name.includes('.');

/** A setting and its new value; null: back to what the session began with. */
export interface SettingChange {
  readonly name: string;
  readonly value: string | null;
  /** For this transaction only. */
  readonly local: boolean;
}

export type StateStatement =
  | ({ readonly kind: 'set'; readonly token: string } & SettingChange)
  | { readonly kind: 'reset' | 'show' | 'current-setting'; readonly token: string; readonly name: string }
  | {
      readonly kind: 'reset-all' | 'discard-all' | 'discard-temporary' | 'unlock-all';
      readonly token: string;
    }
  /** Also what the gateway itself asks, to give a session its parameters. That has no token. */
  | { readonly kind: 'set-config'; readonly token: string; readonly changes: readonly SettingChange[] }
  | {
      readonly kind: 'create-temporary';
      readonly token: string;
      readonly name: string;
      readonly dropsOnCommit: boolean;
    }
  | { readonly kind: 'read-temporary' | 'drop-table'; readonly token: string; readonly name: string }
  | { readonly kind: 'lock' | 'try-lock' | 'unlock'; readonly token: string; readonly key: number }
  | {
      readonly kind: 'declare';
      readonly token: string;
      readonly name: string;
      readonly isHeld: boolean;
      readonly select: Select;
    }
  | { readonly kind: 'fetch'; readonly token: string; readonly name: string; readonly rows: number }
  | { readonly kind: 'close-cursor'; readonly token: string; readonly name: string }
  /** PREPARE, EXECUTE and DEALLOCATE of SQL. */
  | {
      readonly kind: 'sql-prepare' | 'sql-execute' | 'sql-deallocate';
      readonly token: string;
      readonly name: string;
    }
  | { readonly kind: 'deallocate-all' | 'count-channels'; readonly token: string }
  /** An UNLISTEN without a name means all channels. */
  | { readonly kind: 'listen'; readonly token: string; readonly name: string }
  | { readonly kind: 'unlisten'; readonly token: string; readonly name: string | null }
  /** The gateway lets the session listen, unless its mark is there. */
  | {
      readonly kind: 'replay';
      readonly token: '';
      readonly channels: readonly string[];
      readonly change: SettingChange;
    }
  /** The gateway asks what the session has kept. */
  | { readonly kind: 'probe'; readonly token: ''; readonly customNames: readonly string[] }
  /** The gateway asks whether the server process is as good as new. */
  | { readonly kind: 'remains'; readonly token: '' };

const PROBE = '/* sluice: session state */';
const CURRENT_SETTING = /current_setting\('((?:[^']|'')*)', true\)/g;
const SET_CONFIG =
  /set_config\((E?)'((?:[^']|'')*)', (?:(E?)'((?:[^']|'')*)'|NULL|pg_catalog\.convert_from\(pg_catalog\.decode\('(\w*)', 'hex'\), 'UTF8'\)), (true|false)\)/g;

type Make = (parts: readonly string[], token: string) => StateStatement | null;

/** By the first word: the form of the statement without the comment that holds its token, and what it means. */
const SHAPES: Readonly<Record<string, readonly (readonly [form: RegExp, make: Make])[]>> = {
  SET: [
    [
      /^SET (SESSION |LOCAL |)([\w.]+) (?:TO (DEFAULT)|= '((?:[^']|'')*)')$/,
      ([, scope, name, standard, value], token) => ({
        kind: 'set',
        token,
        name: name!,
        value: standard === undefined ? unquoteText('', value!) : null,
        local: scope === 'LOCAL ',
      }),
    ],
  ],
  RESET: [
    [/^RESET ALL$/, (_, token) => ({ kind: 'reset-all', token })],
    [/^RESET ([\w.]+)$/, ([, name], token) => ({ kind: 'reset', token, name: name! })],
  ],
  SHOW: [[/^SHOW ([\w.]+)$/, ([, name], token) => ({ kind: 'show', token, name: name! })]],
  DISCARD: [
    [/^DISCARD ALL$/, (_, token) => ({ kind: 'discard-all', token })],
    [/^DISCARD TEMP$/, (_, token) => ({ kind: 'discard-temporary', token })],
  ],
  CREATE: [
    [
      /^CREATE TEMP TABLE (\w+)( ON COMMIT DROP)? AS SELECT '([^']*)' AS token$/,
      ([, name, drop, token]) => ({
        kind: 'create-temporary',
        token: token!,
        name: name!,
        dropsOnCommit: drop !== undefined,
      }),
    ],
  ],
  DROP: [[/^DROP TABLE (\w+)$/, ([, name], token) => ({ kind: 'drop-table', token, name: name! })]],
  DECLARE: [
    [
      /^DECLARE (\w+) CURSOR (WITH HOLD )?FOR (SELECT .*)$/,
      ([, name, hold, text]) => {
        const select = parseSelect(text!);
        if (select === null) return null;
        return { kind: 'declare', token: select.token, name: name!, isHeld: hold !== undefined, select };
      },
    ],
  ],
  FETCH: [
    [
      /^FETCH (\d+) FROM (\w+)$/,
      ([, rows, name], token) => ({ kind: 'fetch', token, name: name!, rows: Number(rows) }),
    ],
  ],
  CLOSE: [[/^CLOSE (\w+)$/, ([, name], token) => ({ kind: 'close-cursor', token, name: name! })]],
  PREPARE: [
    [
      /^PREPARE (\w+) AS SELECT '([^']*)' AS token$/,
      ([, name, token]) => ({ kind: 'sql-prepare', token: token!, name: name! }),
    ],
  ],
  EXECUTE: [[/^EXECUTE (\w+)$/, ([, name], token) => ({ kind: 'sql-execute', token, name: name! })]],
  DEALLOCATE: [
    [/^DEALLOCATE ALL$/, (_, token) => ({ kind: 'deallocate-all', token })],
    [/^DEALLOCATE "?(\w+)"?$/, ([, name], token) => ({ kind: 'sql-deallocate', token, name: name! })],
  ],
  LISTEN: [[/^LISTEN "?(\w+)"?$/, ([, name], token) => ({ kind: 'listen', token, name: name! })]],
  UNLISTEN: [
    [/^UNLISTEN \*$/, (_, token) => ({ kind: 'unlisten', token, name: null })],
    [/^UNLISTEN "?(\w+)"?$/, ([, name], token) => ({ kind: 'unlisten', token, name: name! })],
  ],
  SELECT: [
    [
      /^SELECT count\(\*\) FROM pg_listening_channels\(\)$/,
      (_, token) => ({ kind: 'count-channels', token }),
    ],
    [/^SELECT token FROM (temp\d)$/, ([, name], token) => ({ kind: 'read-temporary', token, name: name! })],
    [
      /^SELECT coalesce\(current_setting\('([\w.]+)', true\), ''\)$/,
      ([, name], token) => ({ kind: 'current-setting', token, name: name! }),
    ],
    [/^SELECT pg_advisory_unlock_all\(\)$/, (_, token) => ({ kind: 'unlock-all', token })],
    [
      /^SELECT pg_(advisory_lock|try_advisory_lock|advisory_unlock)\((\d+)\)$/,
      ([, name, key], token) => ({ kind: LOCK_KINDS[name!]!, token, key: Number(key) }),
    ],
    [
      /^SELECT (?:pg_catalog\.)?set_config\(.*\)$/s,
      ([text], token) => ({ kind: 'set-config', token, changes: parseChanges(text!) }),
    ],
  ],
};

const LOCK_KINDS: Readonly<Record<string, 'lock' | 'try-lock' | 'unlock'>> = {
  advisory_lock: 'lock',
  try_advisory_lock: 'try-lock',
  advisory_unlock: 'unlock',
};

/** The gateway's questions what a session has kept, and what has remained of it; null for every other text. */
export function parseProbe(text: string): StateStatement | null {
  if (text === REMAINS_QUESTION) return { kind: 'remains', token: '' };
  if (!text.startsWith(PROBE)) return null;
  const customNames = [...text.matchAll(CURRENT_SETTING)].map((call) => unquoteText('', call[1]!));
  return { kind: 'probe', token: '', customNames: customNames.filter((name) => name !== REPLAY_SETTING) };
}

/** The gateway's block of PL/pgSQL; null for every other text. */
export function parseReplay(text: string): StateStatement | null {
  if (!text.startsWith("DO 'BEGIN IF ")) return null;
  const body = unquoteText('', text.slice("DO '".length, -1));
  const channels = [...body.matchAll(/LISTEN "(\w+)"/g)].map(([, name]) => name!);
  const [change] = parseChanges(body);
  return { kind: 'replay', token: '', channels, change: change! };
}

/** @param command the statement without the comment that holds its `token`. */
export function parseState(command: string, token: string): StateStatement | null {
  const firstWord = command.slice(0, command.indexOf(' '));
  for (const [form, make] of SHAPES[firstWord] ?? []) {
    const match = form.exec(command);
    if (match !== null) return make(match, token);
  }
  return null;
}

/** What isn't ASCII the gateway writes in hexadecimal digits. */
function unhex(hex: string | undefined): string | null {
  return hex === undefined ? null : Buffer.from(hex, 'hex').toString('utf8');
}

function parseChanges(text: string): SettingChange[] {
  return [...text.matchAll(SET_CONFIG)].map(([, nameForm, name, valueForm, value, hex, local]) => ({
    name: unquoteText(nameForm!, name!),
    value: value === undefined ? unhex(hex) : unquoteText(valueForm!, value),
    local: local === 'true',
  }));
}

/** What stands between the quotes of a literal. @param prefix `E`, or nothing. */
function unquoteText(prefix: string, text: string): string {
  const plain = text.replaceAll("''", "'");
  return prefix === 'E' ? plain.replaceAll('\\\\', '\\') : plain;
}

// --- Texts ----------------------------------------------------------------------------------------------------

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** SET; a value of null stands for DEFAULT. Without the comment that holds the token, as all of these. */
export function setCommand({ name, value, local }: SettingChange): string {
  return `SET ${local ? 'LOCAL ' : ''}${name} ${value === null ? 'TO DEFAULT' : `= ${quote(value)}`}`;
}

export function setConfigCommand({ name, value, local }: SettingChange): string {
  const literal = value === null ? 'NULL' : quote(value);
  return `SELECT set_config('${name}', ${literal}, ${local})`;
}

/** Nothing tells a custom setting that was never set from one that was reset. */
export const currentSettingCommand = (name: string): string =>
  `SELECT coalesce(current_setting('${name}', true), '')`;

export function createTemporaryText(name: string, dropsOnCommit: boolean, token: string): string {
  return `CREATE TEMP TABLE ${name}${dropsOnCommit ? ' ON COMMIT DROP' : ''} AS SELECT '${token}' AS token`;
}

export function declareText(name: string, isHeld: boolean, select: string): string {
  return `DECLARE ${name} CURSOR ${isHeld ? 'WITH HOLD ' : ''}FOR ${select}`;
}

export const prepareText = (name: string, token: string): string =>
  `PREPARE ${name} AS SELECT '${token}' AS token`;
