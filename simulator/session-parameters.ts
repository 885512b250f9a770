/** A model session's settings: what SET, RESET and rollbacks make of them, and what is reported when. */
import { isCustom } from './state-sql.js';

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
  ['search_path', '"$user", public'],
  ['statement_timeout', '0'],
  ['exit_on_error', 'off'],
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

/** The parameter of a startup packet whose value the server refuses; undefined: it takes them all. */
export function invalidParameter(startup: ReadonlyMap<string, string>): string | undefined {
  const names = [...startup].map(([name, value]) => [spelling(name) ?? name, value] as const);
  return names.find(([name, value]) => isInvalid(name, value))?.[0];
}

interface Setting {
  readonly value: string;
  /** It was set in the session, and not at its start: the column `source` of pg_settings says `session`. */
  readonly isFromSession: boolean;
}

/** A custom setting that was set once stays, with nothing in it. */
const EMPTY: Setting = { value: '', isFromSession: false };

type Settings = ReadonlyMap<string, Setting>;

/** What a rollback goes back to. */
export interface SettingsMark {
  readonly settings: Settings;
  readonly beforeLocal: Settings;
}

export class SessionParameters {
  private readonly user: string;
  private readonly settings: Map<string, Setting>;
  /** What RESET goes back to. */
  private readonly start: Settings;
  private readonly reported = new Map<string, string>();
  /** What those were that SET LOCAL has changed in this transaction. */
  private readonly beforeLocal = new Map<string, Setting>();

  /** @param startup the startup packet's parameters. */
  constructor(startup: ReadonlyMap<string, string>) {
    this.user = startup.get('user') ?? '';
    const values = new Map([...SERVER_DEFAULTS, ...UNREPORTED_DEFAULTS]);
    for (const [name, value] of startup) {
      const known = spelling(name);
      if (known !== null) values.set(known, value);
    }
    this.start = new Map([...values].map(([name, value]) => [name, { value, isFromSession: false }]));
    this.settings = new Map(this.start);
  }

  /** Null for a custom setting that was never set. */
  value(name: string): string | null {
    return this.settings.get(name)?.value ?? null;
  }

  mark(): SettingsMark {
    return { settings: new Map(this.settings), beforeLocal: new Map(this.beforeLocal) };
  }

  /** True when it has undone something. */
  goBackTo(mark: SettingsMark): boolean {
    this.beforeLocal.clear();
    for (const [name, before] of mark.beforeLocal) this.beforeLocal.set(name, before);
    let changed = false;
    for (const [name, { value }] of this.settings) {
      const before = mark.settings.get(name) ?? EMPTY;
      changed ||= before.value !== value;
      this.settings.set(name, before);
    }
    return changed;
  }

  /** The transaction ends. True when a SET LOCAL has come to its end by it. */
  endLocal(): boolean {
    const hadLocal = this.beforeLocal.size > 0;
    for (const [name, before] of this.beforeLocal) this.settings.set(name, before);
    this.beforeLocal.clear();
    return hadLocal;
  }

  /** @param value null: what the session began with. */
  set(name: string, value: string | null, local: boolean): void {
    if (!local) this.beforeLocal.delete(name);
    else if (!this.beforeLocal.has(name)) this.beforeLocal.set(name, this.settings.get(name) ?? EMPTY);
    const reset = this.start.get(name) ?? EMPTY;
    this.settings.set(name, value === null ? reset : { value, isFromSession: true });
  }

  /** RESET ALL leaves the role as it is; DISCARD ALL doesn't. */
  resetAll(withRole: boolean): void {
    for (const name of this.settings.keys()) {
      if (withRole || name !== 'role') this.set(name, null, false);
    }
  }

  /** Something is not as it was at the start, and nobody has been told. */
  get isSecretlyChanged(): boolean {
    return UNREPORTED_NAMES.some((name) => this.settings.get(name)?.value !== this.start.get(name)?.value);
  }

  /**
   * What the gateway's question shows: what was set in the session, custom settings that are named and were ever set, and
   * who it is.
   */
  found(customNames: readonly string[]): [name: string, value: string][] {
    const names = [...this.settings.keys()].filter((name) => {
      if (isCustom(name)) return customNames.includes(name);
      return name === 'role' || this.settings.get(name)!.isFromSession;
    });
    const settings = names.map((name): [string, string] => [name, this.settings.get(name)!.value]);
    return [...settings, ['session_authorization', this.user]];
  }

  /** What has changed since it was last reported. */
  report(): [name: string, value: string][] {
    const changes: [string, string][] = [];
    for (const name of SERVER_DEFAULTS.keys()) {
      const value = this.settings.get(name)!.value;
      if (this.reported.get(name) === value) continue;
      this.reported.set(name, value);
      changes.push([name, value]);
    }
    return changes;
  }
}
