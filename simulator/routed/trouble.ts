/** What errors a client may be told of that no direct session would get, and what it may believe then. */
import type { Outcome } from './list-ledger.js';

export interface Trouble {
  /** What has come of what it had asked for. */
  readonly outcome: Outcome;
  /** Why it should not have been told; null: it may happen. */
  readonly violation: string | null;
}

/** How it stands with what the client has asked for. */
export interface Standing {
  readonly waitedMs: number;
  readonly failoverTimeoutMs: number;
  /** Some of it has been sent to a server, or it is in a transaction. */
  readonly wasSent: boolean;
  /** It begins with a Parse, which nobody can tell from another client's. */
  readonly beginsWithParse: boolean;
  /** A part of the answer has come. */
  readonly isMidUnit: boolean;
  /** What it has sent just before may have changed its session, of which a server has to be asked. */
  readonly isOpaque: boolean;
}

/** @param fields of the ErrorResponse */
export function judgeError(fields: ReadonlyMap<string, string>, standing: Standing): Trouble {
  const code = fields.get('C') ?? '';
  const message = fields.get('M') ?? '';
  const { waitedMs, failoverTimeoutMs, isMidUnit, isOpaque } = standing;
  const mayBeSent = standing.wasSent || standing.beginsWithParse;
  if (code === '57P03' && message.startsWith('there is no primary')) {
    const isEarly = failoverTimeoutMs === 0 || waitedMs < failoverTimeoutMs;
    const violation = `is told after ${waitedMs} ms that there is no primary, failover_timeout being ${failoverTimeoutMs}`;
    return { outcome: 'failed', violation: isEarly ? violation : null };
  }
  // That server was lost before it could answer.
  if (isOpaque && code === '08006' && message.startsWith(LOST)) return { outcome: 'failed', violation: null };
  const outcome = OUTCOMES.find(([itsCode, words]) => itsCode === code && message.startsWith(words))?.[2];
  // What has begun to answer can't be repeated elsewhere.
  if (isMidUnit && STANDBYS_OWN.has(code)) return { outcome: 'failed', violation: null };
  // Its session could not be given to a server that ended: nothing has been run.
  const isUnserved = fields.get('H')?.includes('could not be given what this session has set') === true;
  if (isUnserved && mayBeSent) return { outcome: 'failed', violation: null };
  if (outcome === undefined) return { outcome: 'unknown', violation: `is told: ${code} ${message}` };
  const violation = mayBeSent ? null : `is told, though it was only waiting: ${code} ${message}`;
  return { outcome, violation };
}

/** A write, and a replay conflict. */
const STANDBYS_OWN: ReadonlySet<string> = new Set(['25006', '40001']);

const LOST = 'connection to server was lost';
const OUTCOMES: readonly (readonly [code: string, words: string, outcome: Outcome])[] = [
  ['40001', 'the transaction is lost with its server connection', 'failed'],
  ['08007', LOST, 'unknown'],
];
