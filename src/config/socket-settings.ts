/** How TCP connections are set up, on both sides: PgBouncer's `tcp_*` settings, as a driver takes them. */
import type { ConfigValues } from './schema.js';

/** 0 in a number: as the system has it. */
export interface SocketSettings {
  readonly keepAlive: boolean;
  readonly keepIdleSeconds: number;
  readonly keepIntervalSeconds: number;
  /** Probes. */
  readonly keepCount: number;
  readonly userTimeoutMs: number;
  /** Of each direction, in the kernel. */
  readonly bufferBytes: number;
  /** A connection is accepted when its first bytes are there, or after a second. */
  readonly deferAccept: boolean;
}

/** The sockets of a gateway that is told nothing. */
export const DEFAULT_SOCKETS: SocketSettings = Object.freeze({
  keepAlive: true,
  keepIdleSeconds: 0,
  keepIntervalSeconds: 0,
  keepCount: 0,
  userTimeoutMs: 0,
  bufferBytes: 0,
  deferAccept: false,
});

export function socketSettings(values: ConfigValues): SocketSettings {
  return {
    keepAlive: values.tcp_keepalive,
    keepIdleSeconds: values.tcp_keepidle,
    keepIntervalSeconds: values.tcp_keepintvl,
    keepCount: values.tcp_keepcnt,
    userTimeoutMs: values.tcp_user_timeout,
    bufferBytes: values.tcp_socket_buffer,
    deferAccept: values.tcp_defer_accept,
  };
}
