/** How two processes find each other when the second takes over from the first, and what they say. */
import path from 'node:path';
import type { ConfigValues } from '../../config/schema.js';

/** What goes with the descriptors. */
export interface TakeoverOffer {
  /** Of these messages; another one is refused. */
  readonly protocol: 1;
  readonly pid: number;
}

/** From the new process: it accepts clients. */
export const READY = 'ready\n';
/** From the old one: it accepts none any more, and has let go of everything that can be there only once. */
export const RELEASED = 'released\n';

/**
 * The unix socket at which a running gateway hands its listening sockets over; null where neither `takeover_socket`
 * nor `unix_socket_dir` says where.
 */
export function takeoverPath(values: ConfigValues): string | null {
  if (values.takeover_socket !== '') return path.resolve(values.takeover_socket);
  if (values.unix_socket_dir === '') return null;
  return path.join(path.resolve(values.unix_socket_dir), `.s.SLUICE.${values.listen_port}`);
}
