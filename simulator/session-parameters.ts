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

const SPELLINGS = new Map([...SERVER_DEFAULTS.keys()].map((name) => [name.toLowerCase(), name]));

/** As PostgreSQL reports the name, whatever the case it is written in; null for a parameter that isn't there. */
export function spelling(name: string): string | null {
  return SPELLINGS.get(name.toLowerCase()) ?? null;
}

export class SessionParameters {
  readonly values: Map<string, string>;
  private readonly startValues: ReadonlyMap<string, string>;
  private readonly reported = new Map<string, string>();
  /** As they were when the transaction began; null outside one. */
  private before: ReadonlyMap<string, string> | null = null;
  private readonly beforeLocal = new Map<string, string>();

  /** @param startup the startup packet's parameters. */
  constructor(startup: ReadonlyMap<string, string>) {
    this.values = new Map(SERVER_DEFAULTS);
    for (const [name, value] of startup) {
      const known = spelling(name);
      if (known !== null) this.values.set(known, value);
    }
    this.startValues = new Map(this.values);
  }

  begin(): void {
    this.before ??= new Map(this.values);
  }

  commit(): void {
    for (const [name, value] of this.beforeLocal) this.values.set(name, value);
    this.beforeLocal.clear();
    this.before = null;
  }

  rollback(): void {
    if (this.before !== null) for (const [name, value] of this.before) this.values.set(name, value);
    this.beforeLocal.clear();
    this.before = null;
  }

  set(name: string, value: string, local: boolean): void {
    if (!local) this.beforeLocal.delete(name);
    else if (!this.beforeLocal.has(name)) this.beforeLocal.set(name, this.values.get(name) ?? '');
    this.values.set(name, value);
  }

  resetAll(): void {
    for (const [name, value] of this.startValues) this.values.set(name, value);
  }

  /** What has changed since it was last reported. */
  report(): [name: string, value: string][] {
    const changes: [string, string][] = [];
    for (const [name, value] of this.values) {
      if (this.reported.get(name) === value) continue;
      this.reported.set(name, value);
      changes.push([name, value]);
    }
    return changes;
  }
}
