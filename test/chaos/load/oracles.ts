/** Judges a history. Nothing here does I/O. */
import type { ClientKind, Operation } from './history.js';

/** By then everybody must have noticed that a server has died, in ms. */
const NOTICED_MS = 1_000;
/** How long a server that was killed may still take statements, in ms: its processes notice one after the other. */
const DYING_MS = 100;

/** Acknowledged writes whose numbers are not there. */
export function lostWrites(history: readonly Operation[], present: ReadonlySet<number>): Operation[] {
  return acknowledged(history).filter(({ numbers }) => numbers.some((number) => !present.has(number)));
}

/** Two acknowledged writes that cannot both be of the only primary there was. */
export interface TwoPrimaries {
  readonly older: Operation;
  readonly newer: Operation;
  /** How long after the newer write had been acknowledged the older primary was still sent a write that it acknowledged, in ms. */
  readonly afterMs: number;
}

/**
 * For each pair of primaries (server and timeline), whether one that had been superseded acknowledged a write that was sent after
 * its successor's first acknowledgement: the worst such pair. Writes that merely overlap in time prove nothing.
 */
export function twoPrimaries(history: readonly Operation[]): TwoPrimaries[] {
  const eras = new Eras();
  eras.take(history);
  return eras.twoPrimaries();
}

/** One primary on one timeline: all that has to be kept of its writes. */
interface Era {
  readonly timeline: number;
  /** The write that was acknowledged first. */
  first: Operation;
  /** The acknowledged write that was sent last. */
  last: Operation;
}

/** Who was the primary, write by write: a history of any length in little memory. */
export class Eras {
  readonly #eras = new Map<string, Era>();

  /** Writes of any client, in any order. */
  take(history: readonly Operation[]): void {
    for (const write of acknowledged(history)) {
      const { server, timeline } = write;
      if (server === null || timeline === null) continue;
      const era = this.#eras.get(`${server} ${timeline}`);
      if (era === undefined) this.#eras.set(`${server} ${timeline}`, { timeline, first: write, last: write });
      else {
        if (write.ended < era.first.ended) era.first = write;
        if (write.invoked > era.last.invoked) era.last = write;
      }
    }
  }

  /** As the function of this name. */
  twoPrimaries(): TwoPrimaries[] {
    const found: TwoPrimaries[] = [];
    const ordered = this.#ordered();
    ordered.forEach(({ last: older }, index) => {
      const newer = earliest(ordered.slice(index + 1));
      if (newer === null || older.invoked <= newer.ended) return;
      found.push({ older, newer, afterMs: older.invoked - newer.ended });
    });
    return found;
  }

  /** The first acknowledgement of whoever came after the primary of this write; null: nobody did. */
  successorOf({ server, timeline }: Operation): Operation | null {
    const ordered = this.#ordered();
    const index = ordered.findIndex(({ first }) => first.server === server && first.timeline === timeline);
    return index < 0 ? null : earliest(ordered.slice(index + 1));
  }

  /** By timeline; of the same timeline by who acknowledged first. */
  #ordered(): Era[] {
    return [...this.#eras.values()].sort((a, b) => a.timeline - b.timeline || a.first.ended - b.first.ended);
  }
}

function earliest(eras: readonly Era[]): Operation | null {
  return eras.reduce<Operation | null>(
    (soonest, { first }) => (soonest === null || first.ended < soonest.ended ? first : soonest),
    null,
  );
}

/** How often another primary, or the same one on another timeline, has followed. */
export function changesOfPrimary(history: readonly Operation[]): number {
  const eras = new Set(acknowledged(history).map(({ server, timeline }) => `${server} ${timeline}`));
  return Math.max(0, eras.size - 1);
}

/** A time without an acknowledged write, in ms of the monotonic clock. */
export interface Gap {
  readonly from: number;
  readonly ms: number;
}

/** The longest time between two acknowledgements that ends after `since`; infinite if nothing was acknowledged after that. */
export function longestGap(history: readonly Operation[], since: number): Gap {
  const times = acknowledged(history)
    .map(({ ended }) => ended)
    .sort((a, b) => a - b);
  let longest: Gap = { from: since, ms: times.some((time) => time > since) ? 0 : Number.POSITIVE_INFINITY };
  for (let i = 1; i < times.length; i++) {
    const ms = times[i]! - times[i - 1]!;
    if (times[i]! > since && ms > longest.ms) longest = { from: times[i - 1]!, ms };
  }
  return longest;
}

/**
 * From `since` until a server other than `old` (or the same one on another timeline) acknowledges; infinite if none did.
 * What the dying primary had acknowledged, and what was still on its way, doesn't count.
 */
export function takenOverAfter(
  history: readonly Operation[],
  since: number,
  old: { readonly server: string; readonly timeline: number },
): number {
  const others = acknowledged(history).filter(
    ({ server, timeline, ended }) =>
      ended > since && server !== null && (server !== old.server || timeline !== old.timeline),
  );
  return others.reduce((least, { ended }) => Math.min(least, ended - since), Number.POSITIVE_INFINITY);
}

/** From `since` to the last acknowledgement, in ms; 0: there is none after it. */
export function lastAfter(history: readonly Operation[], since: number): number {
  return acknowledged(history).reduce((most, { ended }) => Math.max(most, ended - since), 0);
}

/** How often something failed in one way. */
export interface Failures {
  readonly kind: ClientKind;
  readonly what: 'write' | 'connect';
  readonly code: string;
  /** One of them. */
  readonly message: string;
  /** Whether its statement had been sent when the fault came. */
  readonly underWay: boolean;
  readonly count: number;
}

/** What failed after `since`, by kind of client, code, and whether it was under way then. */
export function failures(history: readonly Operation[], since: number): Failures[] {
  const groups = new Map<string, Failures>();
  for (const { kind, what, outcome, code, message, sent, ended } of history) {
    if (outcome === 'ok' || ended < since) continue;
    const underWay = isUnderWay(sent, since);
    const key = `${kind} ${what} ${code} ${underWay}`;
    const count = (groups.get(key)?.count ?? 0) + 1;
    groups.set(key, { kind, what, code: code ?? '?', message: message ?? '', underWay, count });
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}

/**
 * Clients between transactions who were told of an error, or whose connection was refused. With a gateway that holds its clients
 * there are none, but for those whose statement a server had when it died: they are told that its outcome is not known.
 * @param isSilent the server fell silent: it was given statements until that was noticed
 */
export function harmedBystanders(
  history: readonly Operation[],
  since: number,
  isSilent: boolean,
): Operation[] {
  return history.filter((operation) => {
    const { outcome, ended, sent, inside } = operation;
    if (outcome === 'ok' || inside || ended < since) return false;
    return !(diedWithItsServer(operation) && (isSilent || sent < since + NOTICED_MS));
  });
}

function diedWithItsServer({ code, message }: Operation): boolean {
  return code === '08007' || /unexpected postmaster exit|server conn crashed/.test(message ?? '');
}

/** A server that is being killed still takes statements for a moment. */
function isUnderWay(sent: number, since: number): boolean {
  return sent < since + DYING_MS;
}

export function acknowledged(history: readonly Operation[]): Operation[] {
  return history.filter(({ outcome, what }) => outcome === 'ok' && what === 'write');
}

/** The middle one, and the mean of the two middle ones where there are two. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
