/** Where the gateway accepts clients, from settings and from the forms of `--listen`. */
import { isIPv6 } from 'node:net';
import path from 'node:path';
import type { ConfigValues } from './schema.js';
import type { ConfigDialect } from './sources.js';

/** Where to listen. */
export type ListenAddress =
  /** `host` is an address or a name; `0.0.0.0` is all IPv4 addresses of the machine, `::` all IPv6 addresses, `*` both. */
  | { readonly host: string; readonly port: number }
  /** The socket file itself, and its permission bits. */
  | { readonly socketPath: string; readonly mode?: number };

/** What `*` stands for. */
const ANY_ADDRESS = '0.0.0.0';

/**
 * The addresses that listen_addr, listen_port, unix_socket_dir and unix_socket_mode ask for. In a `pgbouncer.ini`
 * a `*` means IPv6, too.
 */
export function listenAddresses(values: ConfigValues, dialect: ConfigDialect): ListenAddress[] {
  const hosts = values.listen_addr.map((address) =>
    address === '*' && dialect === 'sluice' ? ANY_ADDRESS : address.replace(/^\[|\]$/g, ''),
  );
  const addresses: ListenAddress[] = hosts.map((host) => ({ host, port: values.listen_port }));
  if (values.unix_socket_dir !== '') addresses.push(socketAddress(values.unix_socket_dir, values));
  return addresses;
}

/**
 * One `--listen`: `HOST:PORT`, `[IPv6]:PORT`, `HOST` (then with listen_port), or a path. PostgreSQL's clients look for `.s.PGSQL.<port>` in
 * a folder, so a path that ends in such a name is the socket, and any other is the folder for it.
 * Null if it is none of these.
 */
export function parseListenFlag(value: string, values: ConfigValues): ListenAddress | null {
  if (value.startsWith('/')) return socketAddress(value, values);
  if (isIPv6(value)) return { host: value, port: values.listen_port };
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^\s:/[\]@]+))(?::(\d{1,5}))?$/.exec(value);
  if (!match) return null;
  const port = match[3] === undefined ? values.listen_port : Number(match[3]);
  if (port < 1 || port > 65535) return null;
  const host = match[1] ?? match[2]!;
  return { host: host === '*' ? ANY_ADDRESS : host, port };
}

function socketAddress(place: string, values: ConfigValues): ListenAddress {
  const isSocket = /^\.s\.PGSQL\.\d+$/.test(path.posix.basename(place));
  const socketPath = isSocket ? place : path.posix.join(place, `.s.PGSQL.${values.listen_port}`);
  return { socketPath, mode: values.unix_socket_mode };
}

/** `127.0.0.1:6432`, `[::1]:6432`, or the socket's path. */
export function formatListenAddress(address: ListenAddress): string {
  if ('socketPath' in address) return address.socketPath;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
