import type { ListenAddress } from '../config/listen-address.js';

export type { ListenAddress } from '../config/listen-address.js';

/** A listen address that can't be used: `code` is the system's (`EADDRINUSE`, `EACCES`). */
export class ListenError extends Error {
  readonly code: string;
  readonly address: string;
  readonly port: number | undefined;

  constructor(code: string, message: string, address: ListenAddress) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
    this.address = 'socketPath' in address ? address.socketPath : address.host;
    this.port = 'socketPath' in address ? undefined : address.port;
  }
}
