/** Settings while the gateway runs: as SHOW CONFIG lists them, and changed one at a time, as by SET. */
import { assembleConfig, type SluiceConfig } from './load.js';
import { nearestName } from './nearest-name.js';
import { PGBOUNCER_DEFAULTS } from './pgbouncer-defaults.js';
import { respellSetting } from './pgbouncer-ini.js';
import { ConfigError } from './problem.js';
import { SETTINGS, type SettingFacts } from './schema.js';

/** What became of a wish to change a setting. */
export type SettingChange =
  | { readonly kind: 'changed'; readonly config: SluiceConfig }
  /** There is no such setting. */
  | { readonly kind: 'unknown'; readonly message: string }
  /** Only a start changes it (PgBouncer ignores such a SET without a word). */
  | { readonly kind: 'startOnly'; readonly message: string }
  /** The value is wrong, by itself or together with others. */
  | { readonly kind: 'invalid'; readonly message: string };

/**
 * The configuration with one setting changed, checked as a whole; `value` is spelled as in a file. A later
 * `rereadConfig` forgets the change. TLS settings that belong together may come one after the other: until they fit, TLS
 * stays as it was, and `unappliedTls` says so. Never throws a `ConfigError`.
 */
export async function changeSetting(
  config: SluiceConfig,
  name: string,
  value: string,
): Promise<SettingChange> {
  const facts = SETTINGS.get(name);
  if (facts === undefined) {
    const near = nearestName(name, SETTINGS.keys());
    return { kind: 'unknown', message: `no such setting${near ? `; did you mean ${near}?` : ''}` };
  }
  if (!facts.reload) return { kind: 'startOnly', message: `${name} takes effect at the next start only` };
  const { tree, ...rest } = config.gathered;
  const values = { ...tree.values, [name]: respellSetting(name, value) };
  try {
    const gathered = { ...rest, tree: { values, origins: tree.origins.with([name], { kind: 'none' }) } };
    return { kind: 'changed', config: await assembleConfig(gathered, config.sources, config) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { kind: 'invalid', message: error.message };
  }
}

/** A line of SHOW CONFIG. */
export interface SettingRow {
  readonly key: string;
  /** Spelled as PgBouncer does: durations in seconds, switches as 0 and 1. Null: not set. */
  readonly value: string | null;
  readonly default: string | null;
  /** Whether SET and a reload change it. */
  readonly changeable: boolean;
}

/** Texts that PgBouncer shows as NULL where they are empty: they have no default. */
const NULL_WHEN_EMPTY: ReadonlySet<string> = new Set([
  'auth_dbname',
  'auth_file',
  'auth_ident_file',
  'auth_ldap_options',
  'auth_user',
  'client_tls13_ciphers',
  'conffile',
  'server_tls13_ciphers',
  'service_name',
  'user',
]);

/** All settings but the lists, by name. `auth_ldap_options` may hold a password: show it to admins only. */
export function describeSettings(config: SluiceConfig): SettingRow[] {
  const written = config.gathered.tree.values;
  const defaults: Readonly<Record<string, unknown>> =
    config.dialect === 'pgbouncer' ? PGBOUNCER_DEFAULTS : {};
  return [...SETTINGS]
    .map(([key, facts]): SettingRow => {
      const value = config.values[key as keyof typeof config.values];
      const fallback = defaults[key] ?? facts.fallback;
      return {
        key,
        value: orNull(
          key,
          key === 'conffile' ? conffile(config) : showValue(value, facts, written[key] ?? fallback),
        ),
        default: orNull(key, showFallback(fallback)),
        changeable: facts.reload,
      };
    })
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function conffile({ values, sources }: SluiceConfig): string {
  return values.conffile === '' ? (sources.file ?? '') : values.conffile;
}

/** A checked value as a file would spell it; lists as they were written. */
function showValue(value: unknown, { type }: SettingFacts, written: unknown): string {
  if (Array.isArray(value)) return typeof written === 'string' ? written : value.join(', ');
  if (type === 'duration') return String((value as number) / 1000);
  return showFallback(value);
}

function showFallback(value: unknown): string {
  return typeof value === 'boolean' ? String(Number(value)) : String(value);
}

function orNull(key: string, value: string): string | null {
  return value === '' && NULL_WHEN_EMPTY.has(key) ? null : value;
}
