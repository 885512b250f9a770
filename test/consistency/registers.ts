/** Whether a history of registers keeps what the modes of consistency promise. */
import type { Finding, IsPrimary, RegisterHistory, RegisterOperation, RegisterRead } from './history.js';

/** What speaks against a history, by kind. */
export interface RegisterFindings {
  readonly reads: number;
  readonly writes: number;
  /** A read began after a write was acknowledged, whoever made it, and does not show it. */
  readonly stale: readonly Finding[];
  /** The same of a write that the session itself had made. */
  readonly ownWrites: readonly Finding[];
  /** A read shows an older value than an earlier read of its session. */
  readonly backwards: readonly Finding[];
  /**
   * The same where the earlier read was a standby's, the later one the primary's, and the write that is missing not yet
   * acknowledged: a standby may show a commit that the primary does not show yet.
   */
  readonly ahead: readonly Finding[];
  /** A read shows a value that nobody can have written yet. */
  readonly impossible: readonly Finding[];
}

/** What is known of the writes to one register. */
interface Writes {
  readonly initial: number;
  /** Ends of acknowledged writes, ascending, and the greatest value acknowledged by then. */
  readonly ends: number[];
  readonly greatest: number[];
  /** When a value's write was acknowledged. */
  readonly acknowledged: Map<number, number>;
  /** Starts of all writes, ascending. */
  readonly starts: number[];
}

export function checkRegisters(history: RegisterHistory, isPrimary: IsPrimary): RegisterFindings {
  const byKey = collectWrites(history);
  const stale: Finding[] = [];
  const impossible: Finding[] = [];
  let reads = 0;
  for (const operation of history.operations) {
    if (operation.kind !== 'read') continue;
    reads += 1;
    const writes = byKey.get(operation.key) ?? noWrites(history.initial.get(operation.key) ?? 0);
    const expected = acknowledgedBefore(writes, operation.start);
    if (operation.value < expected) stale.push(staleFinding(operation, expected, writes));
    const most = writes.initial + countBelow(writes.starts, operation.end);
    if (operation.value > most) {
      impossible.push({ text: `${told(operation)}, which nobody had written: ${most} at most`, ageMs: null });
    }
  }
  const sessions = checkSessions(history, byKey, isPrimary);
  return { reads, writes: history.operations.length - reads, stale, impossible, ...sessions };
}

function noWrites(initial: number): Writes {
  return { initial, ends: [], greatest: [], acknowledged: new Map(), starts: [] };
}

function collectWrites({ initial, operations }: RegisterHistory): Map<number, Writes> {
  const byKey = new Map<number, Writes>();
  const writes = operations.filter((operation) => operation.kind === 'write');
  for (const { key, start } of writes.toSorted((a, b) => a.start - b.start)) {
    const known = byKey.get(key) ?? noWrites(initial.get(key) ?? 0);
    byKey.set(key, known);
    known.starts.push(start);
  }
  for (const { key, value, end } of writes.toSorted((a, b) => a.end - b.end)) {
    if (value === null) continue;
    const known = byKey.get(key)!;
    known.ends.push(end);
    known.greatest.push(Math.max(value, known.greatest.at(-1) ?? known.initial));
    known.acknowledged.set(value, end);
  }
  return byKey;
}

/** How many of an ascending list are below a limit. */
function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function acknowledgedBefore(writes: Writes, time: number): number {
  const count = countBelow(writes.ends, time);
  return count === 0 ? writes.initial : writes.greatest[count - 1]!;
}

/** The age counts from the first acknowledgement that proves the value old. */
function staleFinding(read: RegisterRead, expected: number, writes: Writes): Finding {
  const first = writes.greatest.findIndex((value) => value > read.value);
  const ageMs = read.start - writes.ends[first]!;
  const text = `${told(read)}, but ${expected} had been acknowledged; out of date for ${ageMs.toFixed(1)} ms`;
  return { text, ageMs };
}

function checkSessions(
  { operations }: RegisterHistory,
  byKey: ReadonlyMap<number, Writes>,
  isPrimary: IsPrimary,
): Pick<RegisterFindings, 'ownWrites' | 'backwards' | 'ahead'> {
  const ownWrites: Finding[] = [];
  const backwards: Finding[] = [];
  const ahead: Finding[] = [];
  for (const session of bySession(operations)) {
    const written = new Map<number, number>();
    const seen = new Map<number, RegisterRead>();
    for (const operation of session) {
      const { key, value } = operation;
      if (operation.kind === 'write') {
        if (value !== null) written.set(key, value);
        continue;
      }
      const own = written.get(key) ?? 0;
      if (operation.value < own) {
        ownWrites.push({ text: `${told(operation)}, but had itself made it ${own}`, ageMs: null });
      }
      const before = seen.get(key);
      if (before === undefined || before.value <= operation.value) {
        seen.set(key, operation);
        continue;
      }
      const text = `${told(operation)}, after ${before.value} on ${before.node} by ${before.form}`;
      const missing = byKey.get(key)?.acknowledged.get(operation.value + 1) ?? Number.POSITIVE_INFINITY;
      const isAhead = isPrimary(operation.node) && !isPrimary(before.node) && missing >= operation.start;
      (isAhead ? ahead : backwards).push({ text, ageMs: null });
    }
  }
  return { ownWrites, backwards, ahead };
}

/** What each session did, in its order. */
function bySession(operations: readonly RegisterOperation[]): Iterable<RegisterOperation[]> {
  const sessions = new Map<number, RegisterOperation[]>();
  for (const operation of operations) {
    const own = sessions.get(operation.session);
    if (own === undefined) sessions.set(operation.session, [operation]);
    else own.push(operation);
  }
  for (const own of sessions.values()) own.sort((a, b) => a.end - b.end);
  return sessions.values();
}

function told({ session, key, value, node, form, start }: RegisterRead): string {
  return `session ${session} read ${value} of register ${key} on ${node} by ${form} at ${start.toFixed(1)} ms`;
}
