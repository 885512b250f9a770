/** Holds what a round has shown against what is promised. */
import type { Fault } from './faults.js';
import type { Operation } from './load/history.js';
import type { Round } from './round.js';

/** What a violation of makes a run fail. */
export type Promises = 'everything' | 'everything but losses' | 'one primary through the gateway' | 'nothing';

/** Sluice's `failover_timeout`, less what a clock may be off. */
const FAILOVER_TIMEOUT_MS = 29_500;

/** A client that was held for as long as is promised, and was then told that there is no primary. */
function hasWaited({ code, sent, ended }: Operation): boolean {
  return code === '57P03' && ended - sent >= FAILOVER_TIMEOUT_MS;
}

/** What a round shows against what is promised, a line each. */
export function broken(promises: Promises, fault: Fault, round: Round): string[] {
  if (promises === 'nothing') return [];
  const against: string[] = [];
  if (round.twoPrimaries.length > 0) against.push('two primaries acknowledged writes at one time');
  if (!Number.isFinite(round.gapMs)) against.push('nothing was acknowledged after the fault');
  if (promises === 'everything' && round.lost.length > 0)
    against.push(`${round.lost.length} acknowledged writes are lost`);
  if (promises !== 'one primary through the gateway') {
    const harmed = round.harmed.filter(
      (operation) => !hasWaited(operation) && operation.code !== fault.mayTell,
    );
    if (harmed.length > 0) against.push(`${harmed.length} statements of clients between transactions failed`);
    if (round.rejoinedMs === null) against.push('the old primary did not come back');
    if (round.writable.length !== 1) against.push(`there are ${round.writable.length} writable primaries`);
    if (round.insideMs !== null && round.insideMs >= round.takenOverMs)
      against.push('a cut-off primary acknowledged a write after another one had');
    const hasChanged = Number.isFinite(round.takenOverMs);
    if (fault.takesOver !== undefined && fault.takesOver !== hasChanged)
      against.push(hasChanged ? 'another node took over' : 'nobody took over');
    if (fault.isPlanned && round.failures.length > 0) against.push('statements failed');
  }
  return against;
}
