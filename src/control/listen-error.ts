/** Says why the gateway can't listen, and what to do about it. */
import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';

/** The gateway could not start, for a reason that its operator can put right. The message says how. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}

/** Why one address can't be listened on. `code` is the system's, such as `EADDRINUSE`. */
export function explainListenError(
  error: { readonly code: string; readonly message: string },
  address: ListenAddress,
): StartError {
  const advice = ADVICE[error.code];
  const text = advice && ('socketPath' in address ? advice.socket : advice.tcp);
  const message = `cannot listen on ${formatListenAddress(address)}: ${text ?? error.message}`;
  return new StartError(message, { cause: error });
}

interface Advice {
  readonly tcp: string;
  readonly socket: string;
}

const ADVICE: Readonly<Record<string, Advice>> = Object.freeze({
  EADDRINUSE: {
    tcp: 'another process listens there. Stop it ("ss -ltnp" shows which one it is), or choose another port with listen_port or --listen',
    socket:
      'another process listens there. Stop it, or choose another folder with unix_socket_dir or --listen',
  },
  EACCES: {
    tcp: 'permission denied. Ports below 1024 need a privilege; choose a higher one with listen_port or --listen',
    socket:
      'permission denied. This user may not write to that folder: change its permissions, or choose another folder',
  },
  EPERM: {
    tcp: 'the system does not permit it; choose another port with listen_port or --listen',
    socket: 'the system does not permit it; choose another folder with unix_socket_dir or --listen',
  },
  EADDRNOTAVAIL: {
    tcp: 'this machine has no such address. "ip address" lists those it has; "*" means all of them',
    socket: 'the path is not usable',
  },
  EAFNOSUPPORT: {
    tcp: 'this machine does not have that kind of address (IPv6 may be switched off)',
    socket: 'this system has no unix sockets',
  },
  ENOTFOUND: {
    tcp: 'the name does not resolve to an address. Give an address, such as 127.0.0.1',
    socket: 'there is no such folder',
  },
  EINVAL: {
    tcp: 'the address is not valid. Give an address and a port, such as 127.0.0.1:6432',
    socket: 'the path is not valid; a socket path may have at most 107 bytes',
  },
  ENAMETOOLONG: {
    tcp: 'the address is too long',
    socket: 'the path is too long; a socket path may have at most 107 bytes',
  },
  ENOENT: {
    tcp: 'there is no such address',
    socket: 'there is no such folder. Create it, or choose another with unix_socket_dir or --listen',
  },
  ENOTDIR: {
    tcp: 'there is no such address',
    socket: 'a part of the path is a file, not a folder',
  },
});
