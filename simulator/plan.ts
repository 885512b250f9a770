/** What a seed decides before a run begins: settings, network, how servers and clients behave. */
import {
  type AuthType,
  type GatewaySettings,
  NO_DATABASE_SETTINGS,
  NO_EXTRA_SETTINGS,
  type OnPin,
  type PoolMode,
  type SessionStateMode,
  type TlsSettings,
  type UserSecret,
  type UserSettings,
} from '../src/core/settings.js';
import type { Weather } from './channel.js';
import { withLimits } from './limits.js';
import { type AuthMethod, verifierOf } from './passwords.js';
import { Random } from './random.js';

export const PROFILES = ['calm', 'fragmented', 'hostile', 'failing', 'slow'] as const;
export type Profile = (typeof PROFILES)[number];

export const ADDRESS = { host: 'db.example', port: 5432 } as const;
/** Databases by name, as clients know them. */
export const DATABASES = ['app', 'shop'] as const;
export const WRONG_DATABASE = 'nowhere';

export interface ServerPlan {
  readonly auth: AuthMethod;
  /** `required`: a session without TLS is refused, as by `hostssl` lines in pg_hba.conf. */
  readonly tls: 'none' | 'offered' | 'required';
  /** Probability that a session dies before its time. */
  readonly deaths: number;
  /**
   * PostgreSQL before and since version 18; or poolers before such a one, of which some know how to negotiate the version of
   * the protocol, and some end the connection.
   */
  readonly protocol: 'old' | 'new' | 'negotiated' | 'unknown';
  /** Probabilities of a connect that is refused, or never answered; of a login that is refused. */
  readonly refusals: number;
  readonly silences: number;
  readonly loginErrors: number;
  /** Probability that a session falls silent at some moment, for good, with its connection open. */
  readonly hangs: number;
  /** Time that a statement takes at most, in ms, unless it sleeps. */
  readonly workMsMax: number;
  /** Probability, per step, of a notice or a parameter report that nobody asked for. */
  readonly asides: number;
  /** How long a cancel request takes to act, in ms. */
  readonly cancelMsMax: number;
}

/** What servers say of themselves. */
export function serverVersion({ protocol }: ServerPlan): string {
  return protocol === 'old' ? '15.99 (model)' : '18.99 (model)';
}

export interface ClientPlan {
  readonly count: number;
  readonly turnsMax: number;
  readonly thinkMsMax: number;
  /** Probability that a client breaks off before its work is done. */
  readonly departures: number;
  /** Probability that a client misbehaves. */
  readonly hostility: number;
  readonly cancels: number;
  /** Rows and bytes per row of a big result. */
  readonly bigRows: number;
  readonly bigBytes: number;
  readonly wrongPasswords: number;
  /**
   * Share of clients that use statements, in one pipeline, of which they can't know whether their Parse has failed. A
   * direct session answers them by what has happened; a gateway has to hold them up to do the same.
   */
  readonly rashness: number;
  /** How long a client waits for an answer before it leaves, in ms; null: as long as it takes. */
  readonly patienceMs: number | null;
}

/** One thing that an operator does. */
export interface OperatorPlan {
  readonly kind: 'reconnect' | 'pause' | 'suspend' | 'kill' | 'disable';
  /** When, and for how long, in ms. */
  readonly at: number;
  readonly forMs: number;
  /** null: all. */
  readonly database: string | null;
}

export interface Plan {
  readonly seed: number;
  readonly profile: Profile;
  readonly settings: GatewaySettings;
  readonly weather: Weather;
  readonly server: ServerPlan;
  readonly client: ClientPlan;
  readonly highWaterBytes: number;
  readonly passwords: ReadonlyMap<string, string>;
  /** The gateway is shut down in the middle, after this time in ms; null: after everybody has gone. */
  readonly shutdownAt: number | null;
  /** Clients that are in a transaction at the shutdown get so much time to end it, in ms; null: none. */
  readonly drainMs: number | null;
  readonly operator: OperatorPlan | null;
  /** Clients change what a session keeps: settings, temporary tables, advisory locks, cursors. */
  readonly hasSessionState: boolean;
  /** Settings that are applied after some time, in ms. */
  readonly reload: { readonly at: number; readonly settings: GatewaySettings } | null;
}

/** So many of the seeds have it; the others are divided between `classic` and the values with which it follows. */
const STATE_SHARE = 0.6;

/** Longer than anything takes where servers answer. */
const PATIENCE_MS = 5000;
const TLS_SALT = 0x7a5_7a5;
const OPERATOR_SALT = 0x0be_7a7;
const LIMITS_SALT = 0x11_3175;
const LOOKUP_SALT = 0x10_0c_0d;
const STATE_SALT = 0x0d_d57a;
const STRICT_SALT = 0x57_21c7;
/** So many of the seeds in which state would follow its client refuse it. */
const STRICT_SHARE = 0.15;
const TIGHT_SALT = 0x7161_7469;
const TIGHT_SHARE = 0.15;
const HIGH_WATER_BYTES_MIN = 16;
const SOCKET_SALT = 0x50c_4e7;
const PROTOCOL_SALT = 0x3_0_32;
/** So many of the seeds have servers on this machine. */
const SOCKET_SHARE = 0.25;
const USERS = ['alice', 'bob', 'carol'] as const;

/** What isn't left to the seed. */
export interface Forced {
  readonly profile?: Profile;
  /** The share of rash clients. */
  readonly rashness?: number;
  readonly hasSessionState?: boolean;
  /** Servers are on this machine, and may have a unix socket. */
  readonly hasLocalSocket?: boolean;
  /** Nearly every answer is more than a client takes at once. */
  readonly isTight?: boolean;
}

export function makePlan(seed: number, random: Random, forced: Forced): Plan {
  const profile = forced.profile ?? random.pick(PROFILES);
  const passwords = new Map(USERS.map((user) => [user as string, `secret of ${user}`]));
  const count = random.chance(0.15) ? random.int(11, 40) : random.int(1, 10);
  const { tls, serverTls } = makeTls(new Random(seed ^ TLS_SALT));
  const operating = new Random(seed ^ OPERATOR_SALT);
  const plain = { ...makeSettings(random, profile, count, passwords), tls };
  const made = withLimits(plain, profile, new Random(seed ^ LIMITS_SALT));
  const isLocal = forced.hasLocalSocket ?? new Random(seed ^ SOCKET_SALT).chance(SOCKET_SHARE);
  const isTight = forced.isTight ?? new Random(seed ^ TIGHT_SALT).chance(TIGHT_SHARE);
  const placed = { ...made, localSocket: isLocal ? ('auto' as const) : ('off' as const) };
  const stateful = new Random(seed ^ STATE_SALT);
  const isStateful = stateful.chance(STATE_SHARE);
  const hasSessionState = forced.hasSessionState ?? isStateful;
  const settings: GatewaySettings = {
    ...(new Random(seed ^ LOOKUP_SALT).chance(0.2) ? withLookups(placed) : placed),
    sessionState: hasSessionState || stateful.chance(0.5) ? followed(seed) : 'classic',
    onPin: stateful.weighted<OnPin>([
      [8, 'allow'],
      [1, 'notice'],
      [1, 'refuse'],
    ]),
  };
  const weather = makeWeather(random, profile);
  const protocol = new Random(seed ^ PROTOCOL_SALT).pick([
    'old',
    'old',
    'new',
    'new',
    'negotiated',
    'unknown',
  ] as const);
  const server = { ...makeServerPlan(random, profile), tls: serverTls, protocol };
  const client = makeClientPlan(random, profile, count, forced.rashness ?? operating.pick([0, 0.2, 0.5]));
  const highWaterBytes = random.pick([1024, 8192, 65_536]);
  return {
    seed,
    profile,
    settings,
    weather,
    server,
    client: { ...client, patienceMs: server.hangs > 0 ? PATIENCE_MS : null },
    highWaterBytes: isTight ? HIGH_WATER_BYTES_MIN : highWaterBytes,
    passwords,
    drainMs: operating.chance(0.5) ? operating.int(0, 1000) : null,
    hasSessionState,
    operator: operating.chance(0.2) ? makeOperator(operating) : null,
    shutdownAt: random.chance(0.15) ? random.int(1, 2000) : null,
    reload: random.chance(0.15) ? makeReload(random, settings) : null,
  };
}

function followed(seed: number): SessionStateMode {
  return new Random(seed ^ STRICT_SALT).chance(STRICT_SHARE) ? 'strict' : 'transparent';
}

function makeSettings(
  random: Random,
  profile: Profile,
  clients: number,
  passwords: ReadonlyMap<string, string>,
): Omit<GatewaySettings, 'tls'> {
  const users = new Map<string, UserSettings>();
  for (const [name, password] of passwords)
    users.set(name, { name, secret: secretOf(password, random), limits: null, isListed: true });
  const poolMode = random.weighted<PoolMode>([
    [5, 'transaction'],
    [2, 'session'],
    [1, 'statement'],
  ]);
  const forcedUser = random.chance(0.3) ? users.get('carol')! : null;
  const impatient = profile === 'slow' && random.chance(0.5);
  const database = (name: string) => ({
    ...NO_DATABASE_SETTINGS,
    name,
    addresses: [ADDRESS],
    serverDatabase: random.chance(0.5) ? `${name}_db` : null,
    forcedUser,
    poolMode: null,
    poolSize: random.chance(0.3) ? random.int(1, 3) : null,
  });
  return {
    ...NO_EXTRA_SETTINGS,
    databases: new Map(DATABASES.map((name) => [name, database(name)])),
    users,
    authType: random.weighted<AuthType>([
      [6, 'trust'],
      [1, 'plain'],
      [1, 'md5'],
      [2, 'scram-sha-256'],
    ]),
    poolMode,
    defaultPoolSize: random.int(1, 5),
    maxClientConn: random.chance(0.1) ? random.int(1, clients) : 100,
    maxPreparedStatements: random.pick([0, 1, 3, 3, 200]),
    serverResetQuery: 'DISCARD ALL',
    maxPacketSize: random.pick([1 << 20, 1 << 30]),
    ignoreStartupParameters: new Set(['extra_float_digits']),
    queryWaitTimeoutMs: impatient ? random.int(20, 500) : random.pick([0, 120_000]),
    clientLoginTimeoutMs: profile === 'slow' ? 60_000 : random.pick([2000, 60_000]),
    serverIdleTimeoutMs: random.pick([0, 50, 600_000]),
    serverLifetimeMs: random.pick([0, 100, 3_600_000]),
    serverConnectTimeoutMs: profile === 'failing' ? random.pick([500, 15_000]) : 15_000,
    serverLoginRetryMs: random.pick([0, 100, 1000]),
    cancelWaitTimeoutMs: random.pick([200, 10_000]),
    logConnections: random.chance(0.5),
    logDisconnections: random.chance(0.5),
    logPoolerErrors: random.chance(0.5),
  };
}

/** The users are known to a database alone, which is asked for them. */
function withLookups(settings: GatewaySettings): GatewaySettings {
  const users = [...settings.users].map(([name, user]) => [name, { ...user, isListed: false }] as const);
  return { ...settings, users: new Map(users), authUser: 'lookup', authQuery: 'SELECT $1' };
}

/** Decided by a generator of its own, so that what a seed decides beside it doesn't depend on it. */
function makeTls(random: Random): { tls: TlsSettings; serverTls: ServerPlan['tls'] } {
  const serverTls = random.pick(['none', 'none', 'offered', 'required'] as const);
  const serverMode =
    serverTls === 'none'
      ? random.pick(['disable', 'prefer', 'allow'] as const)
      : random.pick(['allow', 'prefer', 'require', 'verify-full'] as const);
  const clientMode = random.weighted([
    [4, 'disable' as const],
    [3, 'prefer' as const],
    [1, 'require' as const],
  ]);
  return { tls: { clientMode, serverMode, serverRevision: '' }, serverTls };
}

function makeOperator(random: Random): OperatorPlan {
  return {
    kind: random.pick(['reconnect', 'pause', 'suspend', 'kill', 'disable']),
    at: random.int(1, 1000),
    forMs: random.int(1, 2000),
    database: random.pick([null, ...DATABASES]),
  };
}

/** Limits and times may change at any time; a pool's mode not while it has clients. */
function makeReload(random: Random, settings: GatewaySettings): Plan['reload'] {
  const made = makeNewSettings(random, settings);
  // See withLimits().
  return made.settings.serverLifetimeMs === 100
    ? { ...made, settings: { ...made.settings, minPoolSize: 0 } }
    : made;
}

function makeNewSettings(random: Random, settings: GatewaySettings): NonNullable<Plan['reload']> {
  return {
    at: random.int(1, 1000),
    settings: {
      ...settings,
      defaultPoolSize: random.int(1, 5),
      maxPreparedStatements: settings.maxPreparedStatements === 0 ? 0 : random.pick([1, 3, 200]),
      serverIdleTimeoutMs: random.pick([0, 50, 600_000]),
      serverLifetimeMs: random.pick([0, 100, 3_600_000]),
      tls: { ...settings.tls, serverRevision: random.chance(0.5) ? 'new' : '' },
    },
  };
}

function secretOf(password: string, random: Random): UserSecret {
  return { password, md5: null, scram: verifierOf(password, random) };
}

function makeWeather(random: Random, profile: Profile): Weather {
  const cut = profile === 'fragmented' || profile === 'hostile';
  return {
    latencyMsMax: profile === 'slow' ? random.int(1, 200) : random.pick([0, 1, 5]),
    tinyPieces: cut ? random.pick([0.1, 0.5, 0.9]) : 0,
    cutPieces: cut ? 0.5 : 0.1,
    stalls: profile === 'slow' ? 0.05 : 0,
    stallMsMax: 3000,
  };
}

function makeServerPlan(random: Random, profile: Profile): Omit<ServerPlan, 'tls' | 'protocol'> {
  const failing = profile === 'failing';
  return {
    auth: random.pick(['trust', 'password', 'md5', 'scram-sha-256']),
    deaths: failing ? random.pick([0.1, 0.5]) : 0,
    refusals: failing ? random.pick([0, 0.2]) : 0,
    silences: failing ? random.pick([0, 0.1]) : 0,
    loginErrors: failing ? random.pick([0, 0.1]) : 0,
    hangs: failing ? random.pick([0, 0, 0.1]) : 0,
    workMsMax: profile === 'slow' ? 50 : random.pick([0, 2, 10]),
    asides: random.pick([0, 0, 0.05, 0.3]),
    cancelMsMax: random.pick([1, 30, 300]),
  };
}

function makeClientPlan(
  random: Random,
  profile: Profile,
  count: number,
  rashness: number,
): Omit<ClientPlan, 'patienceMs'> {
  return {
    count,
    turnsMax: count > 10 ? 6 : 14,
    thinkMsMax: random.pick([0, 5, 50]),
    departures: profile === 'calm' ? 0 : random.pick([0, 0.2, 0.6]),
    hostility: profile === 'hostile' ? 0.3 : 0,
    cancels: random.pick([0, 0, 0.3]),
    bigRows: random.pick([5, 20, 100]),
    bigBytes: random.pick([10, 300, 2000]),
    wrongPasswords: profile === 'hostile' ? 0.1 : 0,
    rashness,
  };
}
