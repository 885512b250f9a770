/**
 * Whether a history of transactions over lists keeps what the modes of consistency promise. Every element is unique, so
 * that a read tells exactly which transactions it has seen, and in which order (the method of Kingsbury and Alvaro's "Elle").
 */
import {
  type Finding,
  type IsPrimary,
  type ListHistory,
  type ListTransaction,
  told,
  type VersionOrder,
  type Writers,
} from './history.js';
import { findCycles } from './list-cycles.js';

/** What speaks against a history, by kind. */
export interface ListFindings {
  readonly transactions: number;
  readonly reads: number;
  /** What no database at snapshot isolation may show, on whatever node: see {@link checkValues} and {@link findCycles}. */
  readonly isolation: readonly Finding[];
  /** A transaction began after an append was acknowledged, and does not show it. */
  readonly stale: readonly Finding[];
  /** Cycles that need the order within sessions: own writes unseen, or a later state before an earlier one. */
  readonly session: readonly Finding[];
  /** Cycles that need the order in real time, of a write before whatever began later. */
  readonly realTime: readonly Finding[];
}

export function checkLists(history: ListHistory, isPrimary: IsPrimary): ListFindings {
  const { transactions } = history;
  const writers = findWriters(transactions);
  const order = versionOrder(history);
  const values = checkValues(history, writers, order);
  const cycles = findCycles(transactions, writers, order, isPrimary);
  const readSteps = transactions.flatMap(({ steps }) => steps.filter((step) => 'read' in step));
  return {
    transactions: transactions.length,
    reads: readSteps.length,
    isolation: [...values, ...cycles.isolation],
    stale: checkFreshness(transactions, writers, order),
    session: cycles.session,
    realTime: cycles.realTime,
  };
}

function findWriters(transactions: readonly ListTransaction[]): Map<number, number> {
  const writers = new Map<number, number>();
  transactions.forEach(({ steps }, position) => {
    for (const step of steps) if ('append' in step) writers.set(step.append, position);
  });
  return writers;
}

/** Of each key the longest list that a committed transaction, or the last look at the primary, has seen. */
function versionOrder({ transactions, final }: ListHistory): Map<number, readonly number[]> {
  const order = new Map(final);
  for (const { outcome, steps } of transactions) {
    if (outcome === 'aborted') continue;
    // What a transaction has appended itself need not have been committed there.
    const own = new Set(steps.flatMap((step) => ('append' in step ? [step.append] : [])));
    for (const step of steps) {
      if (!('read' in step)) continue;
      const read = step.read.filter((element) => !own.has(element));
      if (read.length > (order.get(step.key)?.length ?? 0)) order.set(step.key, read);
    }
  }
  return order;
}

/**
 * What is wrong with single reads and appends: elements of aborted transactions, or twice, or in another order than others saw
 * them; states in the middle of a transaction; reads that contradict their own transaction; appends that are lost.
 */
function checkValues(history: ListHistory, writers: Writers, order: VersionOrder): Finding[] {
  const findings: Finding[] = [];
  const { transactions, final } = history;
  transactions.forEach((transaction, position) => {
    if (transaction.outcome === 'aborted') return;
    for (const trouble of [
      ...strangeReads(transactions, position, writers, order),
      ...ownContradictions(transaction),
    ]) {
      findings.push({ text: `${told(transaction)} ${trouble}`, ageMs: null });
    }
    if (transaction.outcome !== 'committed') return;
    for (const step of transaction.steps) {
      if (!('append' in step) || final.get(step.key)?.includes(step.append)) continue;
      const text = `${told(transaction)} has appended ${step.append} to list ${step.key}, and it is lost`;
      findings.push({ text, ageMs: null });
    }
  });
  return findings;
}

function* strangeReads(
  transactions: readonly ListTransaction[],
  position: number,
  writers: Writers,
  order: VersionOrder,
): Iterable<string> {
  for (const step of transactions[position]!.steps) {
    if (!('read' in step)) continue;
    const others = step.read.filter((element) => writers.get(element) !== position);
    const where = `of list ${step.key}`;
    if (new Set(step.read).size < step.read.length) yield `has read an element ${where} twice: ${step.read}`;
    const known = order.get(step.key) ?? [];
    if (others.some((element, at) => element !== known[at])) {
      yield `has read [${others}] ${where}, and others [${known.slice(0, others.length)}]`;
    }
    for (const element of others) {
      const writer = transactions[writers.get(element) ?? -1];
      if (writer === undefined) yield `has read ${element} ${where}, which nobody has appended`;
      else if (writer.outcome === 'aborted') yield `has read ${element} ${where} of an aborted transaction`;
    }
    const last = others.at(-1);
    const lastWriter = last === undefined ? undefined : transactions[writers.get(last) ?? -1];
    const after = lastWriter?.steps.findLast((one) => 'append' in one && one.key === step.key);
    if (after !== undefined && 'append' in after && after.append !== last) {
      yield `has read ${last} ${where}, and not ${after.append} of the same transaction`;
    }
  }
}

/** Each read of a list shows what the one before it showed, and what the transaction has appended since. */
function* ownContradictions({ steps }: ListTransaction): Iterable<string> {
  const expected = new Map<number, readonly number[]>();
  const appended = new Map<number, number[]>();
  for (const step of steps) {
    if ('append' in step) {
      appended.set(step.key, [...(appended.get(step.key) ?? []), step.append]);
      const before = expected.get(step.key);
      if (before !== undefined) expected.set(step.key, [...before, step.append]);
      continue;
    }
    const own = appended.get(step.key) ?? [];
    const wanted = expected.get(step.key) ?? [...step.read.slice(0, step.read.length - own.length), ...own];
    if (wanted.join() !== step.read.join()) {
      yield `has read [${step.read}] of list ${step.key}, where its own steps make it [${wanted}]`;
    }
    expected.set(step.key, step.read);
  }
}

/** Reads that miss an append which was acknowledged before their transaction began. */
function checkFreshness(
  transactions: readonly ListTransaction[],
  writers: Writers,
  order: VersionOrder,
): Finding[] {
  const acknowledged = (element: number): number => {
    const writer = transactions[writers.get(element) ?? -1];
    return writer?.outcome === 'committed' ? writer.end : Number.POSITIVE_INFINITY;
  };
  // Of each position in a list the first moment at which it, or a later one, was acknowledged.
  const since = new Map<number, number[]>();
  for (const [key, elements] of order) {
    let earliest = Number.POSITIVE_INFINITY;
    const times = elements.map(acknowledged).reverse();
    since.set(key, times.map((time) => (earliest = Math.min(earliest, time))).reverse());
  }
  const findings: Finding[] = [];
  for (const transaction of transactions) {
    if (transaction.outcome !== 'committed') continue;
    for (const step of transaction.steps) {
      if (!('read' in step)) continue;
      const missing = since.get(step.key)?.[step.read.length];
      if (missing === undefined || missing >= transaction.start) continue;
      const ageMs = transaction.start - missing;
      const text = `${told(transaction)} has read ${step.read.length} elements of list ${step.key}, and more had been acknowledged; out of date for ${ageMs.toFixed(1)} ms`;
      findings.push({ text, ageMs });
    }
  }
  return findings;
}
