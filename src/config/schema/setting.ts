/** How a setting is put together: its value type, its default, and what the documentation says about it. */
import type * as z from 'zod';
import { booleanWord, duration, text, wholeNumber } from '../value-types.js';

/** What the documentation says about a setting beside its name, default and description. */
export interface SettingNotes {
  readonly group: string;
  readonly type: string;
  readonly description: string;
  readonly unit?: string;
  /** How it differs from PgBouncer's setting of that name; missing: it doesn't. */
  readonly pgbouncer?: string;
  /** PgBouncer's setting is accepted and does nothing itself: what takes its place. Said once in the log. */
  readonly instead?: string;
  /** False: a reload doesn't change it. */
  readonly reload?: false;
}

/** Gives a value type its default (in the form that a file would have) and its notes. */
export function setting<Type extends z.ZodType>(type: Type, fallback: z.input<Type>, notes: SettingNotes) {
  return type.prefault(fallback as never).meta({
    description: notes.description,
    'x-group': notes.group,
    'x-type': notes.type,
    ...(notes.unit === undefined ? {} : { 'x-unit': notes.unit }),
    ...(notes.pgbouncer === undefined ? {} : { 'x-pgbouncer': notes.pgbouncer }),
    ...(notes.instead === undefined ? {} : { 'x-instead': notes.instead }),
    'x-reload': notes.reload ?? true,
  });
}

/** Notes without what the kind of value says already. */
export type ShortNotes = Omit<SettingNotes, 'type' | 'group'>;

/** A duration in seconds; the output is in ms. */
export function seconds(group: string, fallback: number, notes: Omit<ShortNotes, 'unit'>) {
  return setting(duration(), fallback, { group, type: 'duration', unit: 'seconds', ...notes });
}

/** A switch. */
export function onOff(group: string, fallback: boolean, notes: ShortNotes) {
  return setting(booleanWord(), fallback, { group, type: 'boolean', ...notes });
}

/** A whole number between two limits. */
export function count(group: string, fallback: number, [min, max]: [number, number], notes: ShortNotes) {
  const type = `whole number from ${min} to ${max}`;
  return setting(wholeNumber(min, max), fallback, { group, type, ...notes });
}

/** The type of settings that hold the path of a file; load.ts makes them relative to the configuration file. */
export const FILE_TYPE = 'file';

/** The path of a file, none by default. */
export function file(group: string, notes: ShortNotes) {
  return setting(text('a file'), '', { group, type: FILE_TYPE, ...notes });
}

/** Any text, empty by default. */
export function freeText(group: string, notes: ShortNotes & { readonly type?: string }) {
  return setting(text(), '', { group, type: 'text', ...notes });
}

export const NO_LIMIT = '0: no limit.';
/** A note on settings that PgBouncer lacks. */
export const OURS = 'it has no such setting.';
