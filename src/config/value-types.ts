/**
 * The kinds of values that settings have. Each takes what a YAML file gives (numbers, booleans, text) and what a flag
 * gives (text), and says in one phrase what it expects, whatever is wrong with a value.
 */
import * as z from 'zod';

/** Longest duration that is taken, in seconds: PgBouncer's settings are 32-bit integers too. */
const MAX_DURATION_S = 2_147_483_647;

const DURATION = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$/;
const MS_PER_UNIT: Readonly<Record<string, number>> = Object.freeze({
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
});
const TRUE_WORD = /^(1|true|on|yes)$/i;
const BOOLEAN_WORD = /^(1|true|on|yes|0|false|off|no)$/i;

/** A whole number between two limits, both allowed. */
export function wholeNumber(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`;
  const number = z.int({ error }).min(min, { error }).max(max, { error });
  const text = z.string({ error }).regex(/^\d{1,15}$/, { error });
  return z.union([number, text.transform(Number).pipe(number)], { error });
}

/** `5432,5433`: ports of a host list; the output is a list of numbers. */
export function portList() {
  const error = 'ports from 1 to 65535 with commas between, one for each host';
  return z.string({ error }).transform((value, context) => {
    const ports = value.split(',').map((part) => (/^\s*\d{1,5}\s*$/.test(part) ? Number(part) : 0));
    if (ports.every((port) => port >= 1 && port <= 65_535)) return ports;
    context.issues.push({ code: 'custom', message: error, input: value });
    return z.NEVER;
  });
}

/** 0, 1, true, false, on, off, yes or no. */
export function booleanWord() {
  const error = 'one of 1, 0, true, false, on, off, yes, no';
  const kinds = [z.boolean(), z.literal([0, 1]), z.string().regex(BOOLEAN_WORD, { error })] as const;
  return z.union(kinds, { error }).transform((value) => TRUE_WORD.test(String(value)));
}

/** A time; the output is in whole ms. A bare number is in seconds, as in PgBouncer. */
export function duration() {
  const error = 'a duration: seconds as a number, or a number with a unit (500ms, 2s, 5min, 1h)';
  const seconds = z.number({ error }).min(0, { error }).max(MAX_DURATION_S, { error });
  const text = z.string({ error }).regex(DURATION, { error });
  return z.union([seconds, text], { error }).transform((value, context) => {
    const ms = typeof value === 'number' ? value * 1000 : textToMs(value);
    if (ms <= MAX_DURATION_S * 1000) return roundUp(ms);
    context.issues.push({ code: 'custom', message: error, input: value });
    return z.NEVER;
  });
}

function textToMs(text: string): number {
  const [, amount, unit] = DURATION.exec(text)!;
  return Number(amount) * MS_PER_UNIT[unit ?? 's']!;
}

/** A tiny duration must not become 0, which would mean "no limit". The tolerance is for 0.1 + 0.2. */
function roundUp(ms: number): number {
  return Math.max(0, Math.ceil(ms - 1e-6));
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

/** Any text; a number in YAML has to be quoted, because 0123 and 1e3 would not mean what they say. */
export function text(what = 'text') {
  const error = `${what} (in quotes if it looks like a number, true, false or null)`;
  return z
    .string({ error })
    .refine((value) => !value.includes('\0'), { error: `${what} without a zero byte` });
}

/** Text that is not empty. */
export function name(what: string) {
  return text(what).min(1, { error: what });
}

/** `a, b` or a YAML list; the output is a list without empty parts. */
export function commaList(what: string) {
  const error = `${what}: text with commas between, or a list`;
  const list = z.array(z.string({ error }), { error });
  return z.union([z.string(), list], { error }).transform((value) => {
    const parts = typeof value === 'string' ? value.split(',') : value;
    return parts.map((part) => part.trim()).filter((part) => part !== '');
  });
}

/** `auto`, `off`, or a folder as an absolute path. */
export function localSocketChoice() {
  const error = 'auto, off, or the folder of a unix socket (/run/postgresql)';
  const isFolder = (value: string): boolean => value.startsWith('/') && !value.includes('\0');
  const folder = z.string({ error }).refine(isFolder, { error });
  return z.union([z.enum(['auto', 'off'], { error }), folder], { error });
}

/** `HOST:PORT` or nothing; an IPv6 address stands in brackets. The output is the same text. */
export function listenPlace() {
  const error = 'HOST:PORT, like 127.0.0.1:8432 or [::1]:8432';
  return z.string({ error }).refine((value) => value === '' || parsePlace(value) !== null, { error });
}

/** Takes `HOST:PORT` apart; null if it is none. */
export function parsePlace(value: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]@]+)):(\d{1,5})$/.exec(value);
  if (match === null) return null;
  const port = Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host: match[1] ?? match[2]!, port } : null;
}

/** Permission bits in octal digits, as `chmod` takes them (0770); the output is the number that they mean. */
export function fileMode() {
  const error = 'permission bits in octal digits, like 0770';
  const digits = z.string({ error }).regex(/^(0o)?0*[0-7]{1,3}$/, { error });
  return z
    .union([digits, z.int({ error }).transform(String).pipe(digits)], { error })
    .transform((value) => Number.parseInt(value.replace(/^0o/, ''), 8));
}
