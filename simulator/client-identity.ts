/** Who a model client says it is, and how it says so. */
import { GSSENCRequestCode, ProtocolVersion3, SSLRequestCode } from '../src/wire/frontend.js';
import * as Packets from './packets.js';
import { DATABASES, type Plan, WRONG_DATABASE } from './plan.js';
import type { Random } from './random.js';
import { INVALID_TIME_ZONE } from './session-parameters.js';
import { CLIENT_HELLO } from './sim-io.js';

export interface ClientIdentity {
  readonly user: string;
  readonly password: string;
  readonly startup: ReadonlyMap<string, string>;
  /** The protocol's minor version that it asks for, and whether with an option that nobody knows. */
  readonly minorVersion: number;
  readonly hasProtocolOption: boolean;
  /** It should be let in. */
  readonly welcome: boolean;
}

export function makeIdentity(plan: Plan, random: Random): ClientIdentity {
  const user = random.pick([...plan.passwords.keys()].slice(0, 2));
  const wrongPassword = random.chance(plan.client.wrongPasswords);
  const wrongDatabase = random.chance(plan.client.wrongPasswords);
  const startup = new Map([
    ['user', user],
    ['database', wrongDatabase ? WRONG_DATABASE : random.pick(DATABASES)],
  ]);
  if (random.chance(0.5)) startup.set('application_name', random.pick(['psql', 'web']));
  if (random.chance(0.2)) startup.set('timezone', 'Asia/Tokyo');
  const wrongTimeZone = random.chance(plan.client.wrongPasswords / 2);
  if (wrongTimeZone) startup.set('timezone', INVALID_TIME_ZONE);
  if (random.chance(0.1)) startup.set('search_path', 'private');
  if (random.chance(0.1)) startup.set('extra_float_digits', '2');
  const minorVersion = random.weighted([
    [8, 0],
    [1, 2],
    [1, 9999],
  ]);
  return {
    user,
    password: wrongPassword ? 'wrong' : (plan.passwords.get(user) ?? ''),
    startup,
    minorVersion,
    hasProtocolOption: minorVersion > 0 && random.chance(0.5),
    welcome: !wrongDatabase && !wrongTimeZone && !(wrongPassword && plan.settings.authType !== 'trust'),
  };
}

/** What a client begins with, packet by packet: it waits for an answer to each before it sends the next. */
export function loginPackets(identity: ClientIdentity, plan: Plan, random: Random): Buffer[] {
  const asks = [
    ...random.weighted<number[]>([
      [6, []],
      [2, [SSLRequestCode]],
      [1, [GSSENCRequestCode, SSLRequestCode]],
    ]),
  ];
  const parameters = new Map(identity.startup);
  if (identity.hasProtocolOption) parameters.set('_pq_.grease', '');
  const { clientMode } = plan.settings.tls;
  if (clientMode === 'require' && !asks.includes(SSLRequestCode)) asks.push(SSLRequestCode);
  const packets = asks.map((code) => Packets.untyped(Packets.int32(code)));
  // Direct TLS: no word before the handshake.
  if (clientMode !== 'disable' && random.chance(0.2))
    packets.splice(0, packets.length, Buffer.of(CLIENT_HELLO));
  return [...packets, Packets.startup(ProtocolVersion3 | identity.minorVersion, parameters)];
}
