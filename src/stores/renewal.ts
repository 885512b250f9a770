/** Renewing a lease where answers may be slow. */
import type { StoreError } from './store.js';

/** One attempt: asks member number `member`, and gives up after `limitMs`. */
export type RenewalAttempt<Result> = (member: number, limitMs: number) => Promise<Result>;

/** How long it is tried. All in ms. */
export interface RenewalTimes {
  /** Who has not answered after so long is joined by the next member. */
  readonly nextMs: number;
  /** After so long all of it has failed. */
  readonly limitMs: number;
  readonly clock: () => number;
}

/**
 * Renews by whichever attempt succeeds first. A renewal is the one request that may be made many times: each counts from
 * before it was sent itself. So a member that is slow isn't given up: its answer counts when it comes, and meanwhile the
 * next one is asked. A store that needs two seconds for each answer keeps a lease of five; with attempts that are given up
 * after one it would lose it.
 *
 * Rejects with the last failure when every member has failed, when the time is over, or at once where a store says that it
 * will never say yes (`denied`, `protocol`).
 */
export function renewByAttempts<Result>(
  members: number,
  attempt: RenewalAttempt<Result>,
  { nextMs, limitMs, clock }: RenewalTimes,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const deadline = clock() + limitMs;
    let [begun, running, isOver] = [0, 0, false];
    let timer: NodeJS.Timeout | undefined;
    const end = (outcome: () => void) => {
      isOver = true;
      clearTimeout(timer);
      outcome();
    };
    const begin = () => {
      const leftMs = deadline - clock();
      if (isOver || leftMs <= 0) return;
      clearTimeout(timer);
      timer = setTimeout(begin, nextMs);
      running++;
      attempt(begun++ % members, leftMs).then(
        (result) => end(() => resolve(result)),
        (error: StoreError) => {
          running--;
          const isSilent = error.kind === 'unreachable' || error.kind === 'unknown';
          const wasLast = running === 0 && (begun >= members || clock() >= deadline);
          if (!isSilent || wasLast) return end(() => reject(error));
          if (begun < members) begin();
        },
      );
    };
    begin();
  });
}
