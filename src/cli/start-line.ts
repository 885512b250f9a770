/** The one line that says that the gateway runs, and how to use it. */
import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';
import type { SluiceConfig } from '../config/load.js';
import type { RunningGateway } from '../control/gateway-process.js';

const NAMES_SHOWN = 5;
const ANY_HOSTS: ReadonlySet<string> = new Set(['*', '0.0.0.0']);

/** `listening on 127.0.0.1:6432; driver uring; transaction pooling; database app; connect with: psql ...` */
export function describeStart(
  config: SluiceConfig,
  { addresses, driver, driverReason }: Pick<RunningGateway, 'addresses' | 'driver' | 'driverReason'>,
): string {
  const databases = Object.keys(config.values.databases);
  return [
    `listening on ${addresses.map(formatListenAddress).join(', ')}`,
    `driver ${driver}${driver !== 'uring' && driverReason !== '' ? ` (${driverReason})` : ''}`,
    `${config.values.pool_mode} pooling`,
    `${databases.length === 1 ? 'database' : 'databases'} ${listNames(databases)}`,
    `connect with: ${psqlCommand(config, addresses)}`,
  ].join('; ');
}

function listNames(names: readonly string[]): string {
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  return names.slice(0, NAMES_SHOWN).join(', ') + more;
}

function psqlCommand(config: SluiceConfig, addresses: readonly ListenAddress[]): string {
  const database = Object.keys(config.values.databases).find((name) => name !== '*') ?? 'DATABASE';
  const user = config.values.auth_type === 'trust' ? undefined : config.users.keys().next().value;
  const login = user === undefined ? '' : ` -U ${quote(user)}`;
  return `psql ${psqlPlace(addresses[0])}${login} ${quote(database)}`;
}

function psqlPlace(address: ListenAddress | undefined): string {
  if (address === undefined) return '';
  if ('socketPath' in address) {
    const [, folder, port] = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(address.socketPath) ?? [];
    return `-h ${quote(folder ?? '')} -p ${port ?? ''}`;
  }
  const host = ANY_HOSTS.has(address.host) ? '127.0.0.1' : address.host === '::' ? '::1' : address.host;
  return `-h ${host} -p ${address.port}`;
}

/** For a POSIX shell. */
function quote(text: string): string {
  return /^[\w./@%+:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
