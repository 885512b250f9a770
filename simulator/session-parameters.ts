/** A model session's run-time parameters: SET, SET LOCAL, what a rollback undoes, what is reported when. */

/** What every model server has when nothing else is asked for; all of them are reported. */
export const SERVER_DEFAULTS: ReadonlyMap<string, string> = new Map([
  ['application_name', ''],
  ['client_encoding', 'UTF8'],
  ['DateStyle', 'ISO, MDY'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'Etc/UTC'],
  ['standard_conforming_strings', 'on'],
  ['server_version', '15.99 (model)'],
  ['server_encoding', 'UTF8'],
  ['integer_datetimes', 'on'],
]);

/** What servers have, and don't report. */
const UNREPORTED_DEFAULTS: ReadonlyMap<string, string> = new Map([
  ['role', 'none'],
  ['work_mem', '4MB'],
]);

export const UNREPORTED_NAMES: readonly string[] = [...UNREPORTED_DEFAULTS.keys()];

/** No server takes this value, for this parameter. */
export const INVALID_TIME_ZONE = 'Nowhere/Land';

const NAMES = [...SERVER_DEFAULTS.keys(), ...UNREPORTED_NAMES];
const SPELLINGS = new Map(NAMES.map((name) => [name.toLowerCase(), name]));

export function isInvalid(name: string, value: string): boolean {
  return name === 'TimeZone' && value === INVALID_TIME_ZONE;
}

/** As PostgreSQL reports the name, whatever the case it is written in; null for a parameter that isn't there. */
export function spelling(name: string): string | null {
  return SPELLINGS.get(name.toLowerCase()) ?? null;
}

/** What a rollback goes back to. */
interface Point {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
  readonly beforeLocal: ReadonlyMap<string, string>;
}

export class SessionParameters {
  readonly values: Map<string, string>;
  private readonly startValues: ReadonlyMap<string, string>;
  private readonly reported = new Map<string, string>();
  /** As they were when the transaction began; null outside one. */
  private before: ReadonlyMap<string, string> | null = null;
  private readonly beforeLocal = new Map<string, string>();
  /** Savepoints, the oldest first. */
  private savepoints: Point[] = [];

  /** @param startup the startup packet's parameters. */
  constructor(startup: ReadonlyMap<string, string>) {
    this.values = new Map([...SERVER_DEFAULTS, ...UNREPORTED_DEFAULTS]);
    for (const [name, value] of startup) {
      const known = spelling(name);
      if (known !== null) this.values.set(known, value);
    }
    this.startValues = new Map(this.values);
  }

  begin(): void {
    this.before ??= new Map(this.values);
  }

  /** True when a SET LOCAL has come to its end by it. */
  commit(): boolean {
    const hadLocal = this.beforeLocal.size > 0;
    for (const [name, value] of this.beforeLocal) this.values.set(name, value);
    this.endTransaction();
    return hadLocal;
  }

  /** True when it has undone something. */
  rollback(): boolean {
    const undone = this.before !== null && this.goBackTo(this.before);
    this.endTransaction();
    return undone;
  }

  private endTransaction(): void {
    this.beforeLocal.clear();
    this.before = null;
    this.savepoints = [];
  }

  private goBackTo(values: ReadonlyMap<string, string>): boolean {
    let changed = false;
    for (const [name, value] of values) {
      if (this.values.get(name) === value) continue;
      this.values.set(name, value);
      changed = true;
    }
    return changed;
  }

  savepoint(name: string): void {
    this.savepoints.push({ name, values: new Map(this.values), beforeLocal: new Map(this.beforeLocal) });
  }

  /** Forgets a savepoint and those behind it; false: there is none of that name. */
  releaseSavepoint(name: string): boolean {
    const at = this.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (at >= 0) this.savepoints.length = at;
    return at >= 0;
  }

  /** Goes back to a savepoint, which stays. */
  rollbackTo(name: string): 'nothing undone' | 'undone' | 'no such savepoint' {
    const at = this.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (at < 0) return 'no such savepoint';
    this.savepoints.length = at + 1;
    return this.restore(this.savepoints[at]!) ? 'undone' : 'nothing undone';
  }

  /** An error within a transaction block: undoes what was done since the last savepoint, or since its beginning. */
  fail(): void {
    const last = this.savepoints.at(-1);
    if (last !== undefined) this.restore(last);
    else {
      this.rollback();
      this.begin();
    }
  }

  private restore(point: Point): boolean {
    this.beforeLocal.clear();
    for (const [name, value] of point.beforeLocal) this.beforeLocal.set(name, value);
    return this.goBackTo(point.values);
  }

  set(name: string, value: string, local: boolean): void {
    if (!local) this.beforeLocal.delete(name);
    else if (!this.beforeLocal.has(name)) this.beforeLocal.set(name, this.values.get(name) ?? '');
    this.values.set(name, value);
  }

  resetAll(): void {
    for (const [name, value] of this.startValues) this.values.set(name, value);
  }

  /** Something is not as it was at the start, and nobody has been told. */
  get isSecretlyChanged(): boolean {
    return UNREPORTED_NAMES.some((name) => this.values.get(name) !== this.startValues.get(name));
  }

  /** What has changed since it was last reported. */
  report(): [name: string, value: string][] {
    const changes: [string, string][] = [];
    for (const name of SERVER_DEFAULTS.keys()) {
      const value = this.values.get(name) as string;
      if (this.reported.get(name) === value) continue;
      this.reported.set(name, value);
      changes.push([name, value]);
    }
    return changes;
  }
}
