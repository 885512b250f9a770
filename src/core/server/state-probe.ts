/**
 * The query that asks a server what the session between two transactions holds (session-state.ts). Everything in it is
 * named with its schema, since the session's search_path is the client's.
 */
import { latin1 } from '../../wire/bytes.js';
import { buildQuery } from '../../wire/client-messages.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import { readDataRow } from '../../wire/server-message-readers.js';
import { STATE_BYTES_MAX } from '../limits.js';
import { type FoundState, Pin, quoteText, REPLAY_SETTING } from '../session-state.js';

/** Marks the query in the server's log and in `pg_stat_activity`. */
const MARK = '/* sluice: session state */';

const NO_CHANNELS: readonly string[] = [];

/** What `pg_settings` shows, and the two that it does not. */
const SETTINGS = `SELECT name, setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'
 UNION SELECT 'role', pg_catalog.current_setting('role')
 UNION SELECT 'session_authorization', pg_catalog.current_setting('session_authorization')`;

/** In hexadecimal digits of its UTF-8: the session may have any client_encoding. */
function hexOfJson(expression: string): string {
  return `pg_catalog.encode(pg_catalog.convert_to(${expression}::pg_catalog.text, 'UTF8'), 'hex')`;
}

function settingsColumn(names: Iterable<string>): string {
  let all = SETTINGS;
  for (const name of names) {
    const quoted = quoteText(name);
    all += `\n UNION SELECT ${quoted}, pg_catalog.current_setting(${quoted}, true)`;
  }
  const pairs = 'pg_catalog.json_agg(pg_catalog.json_build_array(name, setting))';
  return `(SELECT ${hexOfJson(pairs)} FROM (${all}) AS s)`;
}

const TEMPORARY = ['class', 'proc', 'type']
  .map((kind) => {
    const column = { class: 'relnamespace', proc: 'pronamespace', type: 'typnamespace' }[kind];
    const schema = 'pg_catalog.pg_my_temp_schema()';
    return `EXISTS (SELECT FROM pg_catalog.pg_${kind} WHERE ${column} OPERATOR(pg_catalog.=) ${schema})`;
  })
  .join(' OR ');

const LOCKS = `EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory'
 AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())`;
const CURSORS = 'EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)';
/** `t`: more than is kept. */
const PREPARED = `(SELECT CASE WHEN pg_catalog.sum(pg_catalog.octet_length(statement)) OPERATOR(pg_catalog.>) ${STATE_BYTES_MAX} THEN 't'
 ELSE ${hexOfJson('pg_catalog.json_agg(pg_catalog.json_build_array(name, statement))')} END
 FROM pg_catalog.pg_prepared_statements WHERE from_sql)`;
const CHANNELS = `(SELECT ${hexOfJson('pg_catalog.json_agg(c)')} FROM pg_catalog.pg_listening_channels() AS c)`;
const REPLAY = `pg_catalog.current_setting('${REPLAY_SETTING}', true)`;

/** The pins that the columns behind the first one stand for, in their order. */
const COLUMN_PINS = [Pin.TEMPORARY, Pin.LOCK, Pin.CURSOR, Pin.PREPARED] as const;
const COLUMNS = COLUMN_PINS.length + 3;

/** @param names settings with a dot in their names, which `pg_settings` doesn't show */
export function probeText(names: Iterable<string>): string {
  const columns = [settingsColumn(names), TEMPORARY, LOCKS, CURSORS, PREPARED, CHANNELS, REPLAY];
  return `${MARK} SELECT ${columns.join(',\n ')}`;
}

const PLAIN_PROBE = buildQuery(probeText([]));

/** The Query message. */
export function buildProbe(names: ReadonlySet<string> | null): Uint8Array {
  return names === null ? PLAIN_PROBE : buildQuery(probeText(names));
}

/** Reads the probe's row, the body `bytes[start, end)` of a DataRow; null when it is none. */
export function readProbeRow(bytes: Uint8Array, start: number, end: number): FoundState | null {
  const columns = readColumns(bytes, start, end);
  if (columns?.length !== COLUMNS) return null;
  const settings = readPairs(columns[0]!);
  const listed = columns[COLUMN_PINS.indexOf(Pin.PREPARED) + 1]!;
  const statements = listed === '' || listed === 't' ? new Map<string, string>() : readPairs(listed);
  const channels = readChannels(columns[COLUMNS - 2]!);
  if (settings === null || channels === null || statements === null) return null;
  let pins: number = channels.length > 0 ? Pin.CHANNEL : Pin.NONE;
  COLUMN_PINS.forEach((pin, i) => {
    if (columns[i + 1] === 't') pins |= pin;
  });
  return { settings, pins, channels, statements, replay: columns[COLUMNS - 1]! };
}

function readColumns(bytes: Uint8Array, start: number, end: number): string[] | null {
  try {
    return readDataRow(bytes, start, end).map((value) =>
      value === null ? '' : latin1(value, 0, value.length),
    );
  } catch (error) {
    if (error instanceof ProtocolViolation) return null;
    throw error;
  }
}

function readPairs(hex: string): Map<string, string> | null {
  const values = new Map<string, string>();
  const pairs = readList(hex);
  if (pairs === null) return null;
  for (const pair of pairs) {
    if (!Array.isArray(pair)) return null;
    const [name, value] = pair;
    if (typeof value === 'string') values.set(name, value);
  }
  return values;
}

/** None where there is no list. */
function readChannels(hex: string): readonly string[] | null {
  if (hex === '') return NO_CHANNELS;
  const channels = readList(hex);
  return channels?.every((name) => typeof name === 'string') ? (channels as string[]) : null;
}

function readList(hex: string): unknown[] | null {
  try {
    const list = JSON.parse(Buffer.from(hex, 'hex').toString('utf8'));
    return Array.isArray(list) ? list : null;
  } catch {
    return null;
  }
}
