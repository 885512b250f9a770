/**
 * The parameters that a server reports with ParameterStatus (GUC_REPORT): what a session sees of them, and how one
 * server connection is brought from one session's values to another's.
 *
 * Sets are immutable and interned, so that "does this server connection have what the client expects?" is one
 * comparison of references on the hot path.
 */
import { PARAMETER_SETS_MAX } from './limits.js';

/** On: the server is a standby. Reported since PostgreSQL 14, when a session begins and when the server is promoted. */
export const IN_RECOVERY = 'in_hot_standby';
/** Reported, but not to be set by a client. */
const READ_ONLY = new Set([
  'server_version',
  'server_encoding',
  'integer_datetimes',
  'is_superuser',
  'session_authorization',
  IN_RECOVERY,
]);

/** Settable and reported by every supported server version; spelled as PostgreSQL reports them. */
const REPORTED_NAMES = [
  'application_name',
  'client_encoding',
  'DateStyle',
  'IntervalStyle',
  'standard_conforming_strings',
  'TimeZone',
] as const;

const REPORTED_BY_LOWER_CASE = new Map(REPORTED_NAMES.map((name) => [name.toLowerCase(), name as string]));

/** The reported name of a parameter, whatever the case it is written in; null for one that isn't reported. */
export function reportedName(name: string): string | null {
  return REPORTED_BY_LOWER_CASE.get(name.toLowerCase()) ?? null;
}

/** Whether clients may set a parameter that is reported. */
export function isSettable(name: string): boolean {
  return !READ_ONLY.has(name);
}

/** Values of reported parameters, by reported name. Immutable; equal sets are usually the same object. */
export interface ParameterSet {
  readonly values: ReadonlyMap<string, string>;
}

/** Gives equal sets the same identity. */
export class ParameterSets {
  private readonly byKey = new Map<string, ParameterSet>();
  readonly empty: ParameterSet = this.intern(new Map());

  /** The set with one value changed. */
  with(set: ParameterSet, name: string, value: string): ParameterSet {
    if (set.values.get(name) === value) return set;
    return this.intern(new Map(set.values).set(name, value));
  }

  /** The set without one of its values. */
  without(set: ParameterSet, name: string): ParameterSet {
    const left = new Map(set.values);
    return left.delete(name) ? this.of(left) : set;
  }

  /** The set with some values changed. */
  overlay(set: ParameterSet, changes: ReadonlyMap<string, string>): ParameterSet {
    let result = set;
    for (const [name, value] of changes) result = this.with(result, name, value);
    return result;
  }

  /** The set of these values. */
  of(values: ReadonlyMap<string, string>): ParameterSet {
    return values.size === 0 ? this.empty : this.intern(new Map(values));
  }

  private intern(values: Map<string, string>): ParameterSet {
    const key = JSON.stringify([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
    const known = this.byKey.get(key);
    if (known !== undefined) return known;
    // Forgetting is harmless: a set that is not the same object is compared value by value.
    if (this.byKey.size >= PARAMETER_SETS_MAX) this.byKey.clear();
    const set = Object.freeze({ values });
    this.byKey.set(key, set);
    return set;
  }
}

/** A literal that means the same whatever standard_conforming_strings is. */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}
