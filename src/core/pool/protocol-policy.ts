/**
 * Which minor version of protocol 3 the connections of one pool ask their server for. 3.2 brings cancel keys that can't be
 * guessed, and PostgreSQL speaks it from version 18 on. Older servers answer with NegotiateProtocolVersion and go on, but
 * those before 9.3.20, 9.4.15, 9.5.10, 9.6.6 and 10.1 end the connection, as some poolers do: so it is asked for only when a
 * login by 3.0 has shown the server's version, and no more where it fails.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { NEWEST_MINOR } from '../../wire/startup.js';

/** PostgreSQL's first version that speaks 3.2. */
const SINCE_VERSION = 18;
/** What may be the answer of somebody who doesn't know it: class 08, and feature_not_supported (0A000). */
const MISUNDERSTOOD = /^(?:08|0A)/;

export class ProtocolPolicy {
  /** `hoped`: the server's version promises the newest; `spoken`: it has been used. */
  private newest: 'unknown' | 'hoped' | 'spoken' | 'refused' = 'unknown';

  /** The minor version for the next connection. */
  next(): number {
    return this.newest === 'hoped' || this.newest === 'spoken' ? NEWEST_MINOR : 0;
  }

  /** A login has succeeded. @param serverVersion as the server reports it, e.g. `18.1 (Debian 18.1-1)` */
  succeeded(minor: number, serverVersion: string | undefined): void {
    if (minor > 0) this.newest = 'spoken';
    else if (this.newest === 'unknown' && majorOf(serverVersion) >= SINCE_VERSION) this.newest = 'hoped';
  }

  /** A login has failed; true when the other version is to be tried at once, instead of telling anybody. */
  triesOtherWay(minor: number, error: ErrorFields | null): boolean {
    const isNew = minor > 0 && this.newest !== 'spoken';
    if (!isNew || error === null || !MISUNDERSTOOD.test(error.code)) return false;
    this.newest = 'refused';
    return true;
  }
}

function majorOf(version = ''): number {
  return Number(/^\d+/.exec(version)?.[0] ?? 0);
}
