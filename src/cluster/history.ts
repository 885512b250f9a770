/** What has happened in a cluster, kept in its store: the last events, for people. */

/** The value's name in the store. */
export const HISTORY = 'history';
/** So many events are kept, and in so many bytes: older ones go. */
const EVENTS_MAX = 100;
const BYTES_MAX = 32 * 1024;

/** One event. */
export interface ClusterEvent {
  /** The time of day, ISO 8601, by the clock of whoever wrote it. For people: nothing is compared by it. */
  readonly at: string;
  /** The node that it happened to, or that an operator meant; null: the whole cluster. */
  readonly node: string | null;
  readonly term: number;
  readonly what: EventKind;
  /** A sentence without a full stop. */
  readonly text: string;
  /** For programs, by kind: LSNs, timelines, names, folders. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** What kinds there are. `state` stands in a node's own history alone. */
export const EVENT_KINDS = [
  'leads',
  'left behind',
  'switchover asked',
  'failover asked',
  'paused',
  'resumed',
  'state',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** The events of the value, oldest first; what isn't understood is left out. */
export function readHistory(text: string | undefined): ClusterEvent[] {
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isEvent) : [];
  } catch {
    return [];
  }
}

/** The value with one more event. */
export function withEvent(text: string | undefined, event: ClusterEvent): string {
  const lines = [...readHistory(text), event].slice(-EVENTS_MAX).map((one) => JSON.stringify(one));
  let bytes = lines.reduce((sum, line) => sum + line.length + 1, 2);
  while (bytes > BYTES_MAX && lines.length > 1) bytes -= (lines.shift() as string).length + 1;
  return `[${lines.join(',')}]`;
}

function isEvent(value: unknown): value is ClusterEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { at, node, term, what, text } = value as Record<string, unknown>;
  if (typeof at !== 'string' || typeof text !== 'string' || !Number.isSafeInteger(term)) return false;
  return (node === null || typeof node === 'string') && EVENT_KINDS.some((kind) => kind === what);
}
