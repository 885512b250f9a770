/** What a node says of itself for people to see. Nothing is decided by it, so it may be old, or missing. */
import type { Lsn } from './position.js';
import type { Durability } from './settings.js';

/** What is wrong with a node, in its own words. */
export interface NodeProblem {
  readonly text: string;
  /** What to do; null: that is not known. */
  readonly advice: string | null;
}

/** Beside what a `Member` says; published with it. */
export interface NodeFacts {
  /** PostgreSQL's, like `17.2`. */
  readonly version: string | null;
  readonly isRunning: boolean;
  readonly timeline: number | null;
  /** How far its WAL goes: written, or received. */
  readonly lsn: Lsn | null;
  /** A standby's. */
  readonly replayed: Lsn | null;
  /** Of a leader: who streams, and how far each has flushed. */
  readonly streaming: readonly { readonly name: string; readonly flushed: Lsn }[];
  /** What takes long, like `cloning from db1: 41 %`. */
  readonly doing: string | null;
  /** Why it doesn't get on; null: it does, as far as it knows. */
  readonly problem: NodeProblem | null;
  /** By it nodes see whether they have the same replication password; null: none, or not known. */
  readonly replicationKey: string | null;
  readonly durability: Durability | null;
  readonly quorum: number | null;
}

/** Nothing is known. */
export const NO_FACTS: NodeFacts = {
  ...{ version: null, isRunning: false, timeline: null, lsn: null, replayed: null },
  ...{ streaming: [], doing: null, problem: null },
  ...{ replicationKey: null, durability: null, quorum: null },
};

/** The facts in a registration's text; what is missing or not understood is unknown. */
export function factsIn(text: string): NodeFacts {
  const facts = parsed(text)?.facts;
  if (!isObject(facts)) return NO_FACTS;
  const { version, isRunning, timeline, lsn, replayed, streaming, doing, problem, durability, quorum } =
    facts;
  return {
    version: textOrNull(version),
    isRunning: isRunning === true,
    timeline: wholeOrNull(timeline),
    lsn: wholeOrNull(lsn),
    replayed: wholeOrNull(replayed),
    streaming: Array.isArray(streaming) ? streaming.filter(isProgress) : [],
    doing: textOrNull(doing),
    problem: problemOrNull(problem),
    replicationKey: textOrNull(facts.replicationKey),
    durability: isDurability(durability) ? durability : null,
    quorum: wholeOrNull(quorum),
  };
}

/** What a gateway registers, as `gateway.<name>`: it lets no new transactions to the primary of this term. 0: it does. */
export interface GatewayRecord {
  readonly gateway: string;
  readonly holds: number;
}

/** What gateways' registrations begin with. Nodes have no dot in their names. */
export const GATEWAY_PREFIX = 'gateway.';

/** The gateways among the registrations. One that says nothing that is understood holds nothing. */
export function gatewaysIn(members: ReadonlyMap<string, string>): GatewayRecord[] {
  return [...members]
    .filter(([name]) => name.startsWith(GATEWAY_PREFIX))
    .map(([name, text]) => ({
      gateway: name.slice(GATEWAY_PREFIX.length),
      holds: wholeOrNull(parsed(text)?.holds) ?? 0,
    }));
}

type Json = { readonly [key: string]: unknown };

function parsed(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function wholeOrNull(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}

function problemOrNull(value: unknown): NodeProblem | null {
  if (!isObject(value) || typeof value.text !== 'string') return null;
  return { text: value.text, advice: textOrNull(value.advice) };
}

function isProgress(value: unknown): value is { name: string; flushed: Lsn } {
  return isObject(value) && typeof value.name === 'string' && wholeOrNull(value.flushed) !== null;
}

function isDurability(value: unknown): value is Durability {
  return value === 'durable' || value === 'available' || value === 'asynchronous';
}
