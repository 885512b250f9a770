/**
 * The schema of the configuration: the single source of its types, its checks, its defaults, the JSON Schema and
 * docs/configuration.md. Settings bear PgBouncer's names and units where PgBouncer has them.
 */
import * as z from 'zod';
import { authenticationSettings, consoleSettings } from './schema/authentication.js';
import { cluster, clusterFields } from './schema/cluster.js';
import { databaseFields, databases } from './schema/database.js';
import { listeningSettings, socketSettings } from './schema/listening.js';
import { endingSettings, httpSettings, reloadSettings, takeoverSettings } from './schema/operating.js';
import { peerFields, peers } from './schema/peer.js';
import { poolingSettings, serverConnectionSettings } from './schema/pooling.js';
import { loggingSettings, processSettings } from './schema/process.js';
import { protocolSettings } from './schema/protocol.js';
import { routingSettings } from './schema/routing.js';
import { FILE_TYPE } from './schema/setting.js';
import { timeoutSettings } from './schema/timeouts.js';
import { clientTlsSettings, serverTlsSettings } from './schema/tls.js';
import { userFields, users } from './schema/user.js';

const settings = {
  ...listeningSettings,
  ...poolingSettings,
  ...timeoutSettings,
  ...authenticationSettings,
  ...consoleSettings,
  ...clientTlsSettings,
  ...serverTlsSettings,
  ...serverConnectionSettings,
  ...routingSettings,
  ...protocolSettings,
  ...socketSettings,
  ...loggingSettings,
  ...httpSettings,
  ...endingSettings,
  ...reloadSettings,
  ...takeoverSettings,
  ...processSettings,
};

/** The whole configuration file. Unknown keys are refused at every level. */
export const configSchema = z
  .strictObject(
    { ...settings, databases, users, peers, cluster },
    { error: 'a mapping of settings, like listen_port: 6432' },
  )
  .meta({ title: 'Sluice configuration' });

/** The configuration as a file may spell it. */
export type ConfigInput = z.input<typeof configSchema>;

/** The checked configuration: every setting has a value; **durations are in ms**, lists are arrays. */
export type ConfigValues = z.output<typeof configSchema>;

export type { ClusterValues } from './schema/cluster.js';
export type { DatabaseValues } from './schema/database.js';
export type { PeerValues } from './schema/peer.js';
export type { UserValues } from './schema/user.js';

/** A setting that is neither `databases`, `users`, `peers` nor `cluster`. */
export type SettingName = keyof typeof settings;

/** What is known of a setting beside its value type. */
export interface SettingFacts {
  /** As `SettingNotes.type`. */
  readonly type: string;
  /** What takes the place of a setting that does nothing itself; undefined for all others. */
  readonly instead: string | undefined;
  /** Whether a reload changes it. */
  readonly reload: boolean;
  /** In the form that a file would have. */
  readonly fallback: unknown;
}

/** All settings but the sections, by name. */
export const SETTINGS: ReadonlyMap<string, SettingFacts> = new Map(
  Object.entries(settings).map(([name, type]) => {
    const meta = type.meta() ?? {};
    const fallback = (type.def as { readonly defaultValue: unknown }).defaultValue;
    return [
      name,
      Object.freeze({
        type: meta['x-type'] as string,
        instead: meta['x-instead'] as string | undefined,
        reload: meta['x-reload'] as boolean,
        fallback,
      }),
    ];
  }),
);

/** The lists beside the settings, and the section that is none. */
export const SECTION_NAMES = ['databases', 'users', 'peers', 'cluster'] as const;
/** The names of all settings, with the sections. */
export const SETTING_NAMES: readonly string[] = Object.freeze(Object.keys(configSchema.shape));
/** The settings that hold the path of a file. */
export const FILE_SETTINGS: readonly SettingName[] = Object.freeze(
  [...SETTINGS].filter(([, { type }]) => type === FILE_TYPE).map(([name]) => name as SettingName),
);
/** The keys of an entry of `databases`. */
export const DATABASE_KEYS: readonly string[] = Object.freeze(Object.keys(databaseFields.shape));
/** The keys of an entry of `users`. */
export const USER_KEYS: readonly string[] = Object.freeze(Object.keys(userFields.shape));
/** The keys of an entry of `peers`. */
export const PEER_KEYS: readonly string[] = Object.freeze(Object.keys(peerFields.shape));
/** The keys of `cluster`. */
export const CLUSTER_KEYS: readonly string[] = Object.freeze(Object.keys(clusterFields.shape));
