/**
 * PgBouncer's log lines, which people and programs (pgBadger) parse:
 * `2026-01-31 02:45:01.123 UTC [4711] LOG C-0x1a: app/alice@127.0.0.1:51234 closing because: ...`
 */
import type { ReportSubject } from '../core/io.js';

/** By the numbers that pino gives to levels: the word in the line, and syslog's severity (RFC 5424). */
const LEVELS: readonly (readonly [least: number, tag: string, severity: number])[] = [
  [60, 'FATAL', 2],
  [50, 'ERROR', 3],
  [40, 'WARNING', 4],
  [30, 'LOG', 6],
  [20, 'DEBUG', 7],
  [0, 'NOISE', 7],
];

/** A line of the log before it has a format. */
export interface LogRecord {
  /** pino's number. */
  readonly level: number;
  readonly message: string;
  readonly subject?: ReportSubject;
  /** What is known beside the message. Where a subject says it already, it isn't repeated. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The line, without a line feed at its end. */
export function formatPgbouncerLine(record: LogRecord, time: Date, pid: number): string {
  const [, tag] = levelOf(record.level);
  return `${formatTime(time)} [${pid}] ${tag} ${formatPgbouncerMessage(record)}`;
}

/** The line without time, process and level; further lines are indented. */
export function formatPgbouncerMessage({ subject, message, facts = {} }: LogRecord): string {
  const text = message.trimEnd().replaceAll('\n', '\n\t');
  if (subject !== undefined) return `${formatSubject(subject)} ${text}`;
  const known = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
  return known.length === 0 ? text : `${text} (${known.join(', ')})`;
}

/** syslog's number for a level. */
export function syslogSeverity(level: number): number {
  return levelOf(level)[2];
}

function levelOf(level: number) {
  return LEVELS.find(([least]) => level >= least) ?? LEVELS.at(-1)!;
}

/** `C-0x1a: app/alice@127.0.0.1:51234` */
function formatSubject({ side, id, database, user, address }: ReportSubject): string {
  const letter = side === 'client' ? 'C' : 'S';
  return `${letter}-0x${id.toString(16)}: ${database ?? '(nodb)'}/${user ?? '(nouser)'}@${address}`;
}

/** Local time, with the zone's short name. */
function formatTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${day} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')} ${zoneName(time)}`;
}

let knownZone: { readonly offset: number; readonly name: string } | null = null;

/** Asked for once for each offset: formatting it is slow. */
function zoneName(time: Date): string {
  const offset = time.getTimezoneOffset();
  if (knownZone?.offset === offset) return knownZone.name;
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(time);
  const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? 'UTC';
  knownZone = { offset, name };
  return name;
}
