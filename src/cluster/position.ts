/**
 * How far a node's WAL goes, and along which timelines. Two numbers can't say that: a node whose LSN is the highest may
 * have it on a branch that was given up, and timelines of different branches may have the same number. So each timeline
 * carries the term of the election that began it, which is unique.
 */

/** A place in the WAL, in bytes from its beginning (PostgreSQL's `pg_lsn`, as a number: exact to 9 PB). */
export type Lsn = number;

/** A timeline, and where it left the one before. */
export interface TimelineOrigin {
  /** PostgreSQL's timeline ID. */
  readonly timeline: number;
  /** The term of the primary that began it; 0: it is older than the cluster. */
  readonly term: number;
  /** Its first byte. */
  readonly from: Lsn;
}

/** All that a node has: its timelines in order, and where the last one ends. */
export interface Position {
  readonly history: readonly TimelineOrigin[];
  readonly lsn: Lsn;
}

/** What a position has in common with a lineage. */
export interface Common {
  /** Up to here it is the same WAL; -1: nothing is the same. Along one lineage these compare. */
  readonly lsn: Lsn;
  /** It goes on from there with WAL of its own, which must go before it can follow the lineage. */
  readonly isDiverged: boolean;
}

/**
 * Without timelines of which there is no WAL. Their history files may be there already, or may have stayed behind, also
 * among the parents of one that has WAL: a standby that knows of a timeline and was promoted before it began.
 */
export function withoutEmptyTimelines({ history, lsn }: Position): Position {
  let end = lsn;
  const kept = history.toReversed().filter(({ from }, i) => {
    const hasWal = from < end || i === history.length - 1;
    if (hasWal) end = from;
    return hasWal;
  });
  return { history: kept.reverse(), lsn };
}

/**
 * Gives terms to timelines of which none was known when their WAL came (0), by the history of the epoch `upTo`. Before that WAL all
 * was of term `after`, with terms that were known. A timeline of the same number and beginning can be another one, of a promotion that was never
 * published; but if each term in between has its timeline in the history, there was no such promotion.
 */
export function withLateTerms(
  { history, lsn }: Position,
  lineage: readonly TimelineOrigin[],
  { after, upTo }: { readonly after: number; readonly upTo: number },
): Position {
  const between = new Set(lineage.map(({ term }) => term).filter((term) => term > after && term <= upTo));
  const isComplete = between.size === upTo - after;
  const late = (origin: TimelineOrigin) =>
    lineage.find(
      ({ timeline, from, term }) => timeline === origin.timeline && from === origin.from && term > after,
    );
  const named = history.map((origin) =>
    isComplete && origin.term === 0 ? (late(origin) ?? origin) : origin,
  );
  return { history: named, lsn };
}

/** Compares a position with a lineage (the history of a primary, or of one that may have become it). */
export function commonWith(lineage: readonly TimelineOrigin[], position: Position): Common {
  const { history, lsn } = withoutEmptyTimelines(position);
  let same = 0;
  while (same < lineage.length && same < history.length && isSame(lineage[same]!, history[same]!)) same++;
  if (same === 0) return { lsn: -1, isDiverged: true };
  const ownEnd = history[same]?.from ?? lsn;
  const lineageEnd = lineage[same]?.from ?? Number.POSITIVE_INFINITY;
  return { lsn: Math.min(ownEnd, lineageEnd), isDiverged: same < history.length || lsn > lineageEnd };
}

/**
 * Whether timelines of the two have one number and are not the same. PostgreSQL and pg_rewind know them by their numbers
 * alone: they would take one's WAL for the other's.
 */
export function canBeMistaken(lineage: readonly TimelineOrigin[], { history }: Position): boolean {
  const differs = (origin: TimelineOrigin) => (other: TimelineOrigin) =>
    origin.timeline === other.timeline && !isSame(origin, other);
  return history.some((origin) => lineage.some(differs(origin)));
}

function isSame(a: TimelineOrigin, b: TimelineOrigin): boolean {
  return a.timeline === b.timeline && a.term === b.term && a.from === b.from;
}
