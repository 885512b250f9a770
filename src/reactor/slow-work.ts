import type { AuthorityQuestion } from '../core/authority.js';
import type { ConsoleQuestion } from '../core/console.js';
import type { ConnectionId, KeyRequest, Report } from '../core/io.js';

/**
 * What a driver has done elsewhere, because it would hold up the reactor: the main thread does it, and the answers
 * come back between two events ({@link ResolvedHost}, `IoEvents.keyDerived`).
 */
export interface SlowWork {
  deriveKey(request: KeyRequest): void;
  /** Looks a host name up; the answer carries the same `id`. */
  resolveHost(id: number, host: string): void;
  /** The answer comes back as `IoEvents.authorityAnswered`. */
  askAuthority(id: number, question: AuthorityQuestion): void;
  askConsole(question: ConsoleQuestion): void;
  report(report: Report): void;
}

/** Answer to {@link SlowWork.resolveHost}: IP addresses in the order in which they are to be tried. */
export type ResolvedHost = { readonly addresses: readonly string[] } | { readonly error: string };

/** A connection whose host has a name: being looked up, or with further addresses to try. */
export interface NamedDial {
  readonly id: number;
  readonly connection: ConnectionId;
  readonly host: string;
  readonly port: number;
  untried: readonly string[];
}

/** As libpq words it. */
export function unresolvedHostMessage(host: string, error: string): string {
  return `could not translate host name "${host}" to address: ${error}`;
}
