/**
 * What a cluster's nodes and operators write into the store, and how it is read back. Whoever finds something that it
 * doesn't understand acts as if it saw nothing at all: it keeps what it has, and elects nobody.
 */
import type { Position, TimelineOrigin } from './position.js';
import type { Leader, StoreView } from './store-view.js';

/**
 * Where acknowledged commits are. It holds at each moment for every commit that has been acknowledged until then: the
 * `primary` has it, and so have at least `quorum` of the `standbys`.
 */
export interface Rule {
  /** In which it was published. */
  readonly term: number;
  readonly primary: string;
  readonly standbys: readonly string[];
  /** 0: nothing is promised of the standbys. */
  readonly quorum: number;
  /** Commits may be acknowledged that a failover loses: the operator has chosen `asynchronous`. */
  readonly mayLose: boolean;
  /** The timelines of the primary. */
  readonly history: readonly TimelineOrigin[];
}

/** Published by each leader when it has promoted its PostgreSQL. */
export interface Epoch {
  readonly term: number;
  readonly primary: string;
  /** PostgreSQL's: a node with another one is none of this cluster's. */
  readonly systemIdentifier: string;
  /** The timelines of the primary: by them the others see whether they can follow. */
  readonly history: readonly TimelineOrigin[];
  /** That of the last primary, until this one's standbys have all that was acknowledged before. */
  readonly rule: Rule;
}

/** Published by operators. */
export interface Control {
  /** Maintenance: nobody but the last primary is elected, and nobody's data is replaced. */
  readonly paused: boolean;
  readonly switchover: {
    /** It is asked of the leader of this term alone, so that it can't be obeyed twice. */
    readonly term: number;
    /** Null: any standby. */
    readonly to: string | null;
  } | null;
  /**
   * Nobody leads after this term, and the operator takes upon himself what is lost by it: this node is elected as soon as
   * it has voted, whatever others may have, and in a paused cluster too.
   */
  readonly failover: { readonly afterTerm: number; readonly to: string } | null;
}

/** Where others reach a node. */
export interface Contact {
  /** Of its PostgreSQL, for standbys and gateways: a name, an address, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  /** Of its agent's HTTP interface, as `HOST:PORT`, or `https://HOST:PORT` by TLS; null: it has none. */
  readonly api: string | null;
}

/** Whom a standby receives from. */
export interface Upstream {
  /** What comes is the WAL of this term's primary; the node knows by then which term began which of its timelines. */
  readonly term: number;
  readonly node: string;
  /** WAL does come. */
  readonly streams: boolean;
}

/** What a node says of itself. */
export interface Member {
  readonly contact: Contact;
  /** The life of its agent, as it calls itself when it holds the lease. */
  readonly holder: string;
  readonly state: string;
  /** Among equals the highest leads; 0: never (`nofailover`), and its answers are not waited for by commits. */
  readonly priority: number;
  readonly systemIdentifier: string | null;
  /** A new cluster may begin with its data. */
  readonly mayBegin: boolean;
  /** A promise and a fact: it receives nothing more from primaries up to this term, and has so much of them. */
  readonly vote: { readonly afterTerm: number; readonly position: Position } | null;
  /** Null: it follows nobody. Absent: its agent is older, and doesn't say. */
  readonly upstream?: Upstream | null;
  /** The standby that it receives from while that can be (`replicate_from`). Nobody receives from such a node. */
  readonly replicateFrom?: string | null;
}

/** A store's view, understood. */
export interface ClusterView {
  readonly revision: number;
  readonly term: number;
  readonly leader: Leader | null;
  readonly epoch: Epoch | null;
  /** The epoch's version in the store; 0: there is none. */
  readonly epochVersion: number;
  readonly control: Control;
  readonly members: ReadonlyMap<string, Member>;
}

/** The names of the values. */
export const EPOCH = 'epoch';
export const CONTROL = 'control';

/** What operators ask for when they have asked for nothing. */
export const NO_CONTROL: Control = { paused: false, switchover: null, failover: null };

/** Null: something in it is not understood. Members that are not are left out: they then count for nothing. */
export function understand(view: StoreView): ClusterView | null {
  const epochValue = view.values.get(EPOCH);
  const epoch = epochValue === undefined ? null : parse(epochValue.text, isEpoch);
  const controlValue = view.values.get(CONTROL);
  const control = controlValue === undefined ? NO_CONTROL : parse(controlValue.text, isControl);
  if ((epochValue !== undefined && epoch === null) || control === null) return null;
  const members = new Map<string, Member>();
  for (const [name, text] of view.members) {
    const member = parse(text, isMember);
    if (member !== null) members.set(name, member);
  }
  const { revision, term, leader } = view;
  return { revision, term, leader, epoch, epochVersion: epochValue?.version ?? 0, control, members };
}

type Json = { readonly [key: string]: unknown };

function parse<T>(text: string, isValid: (value: unknown) => value is T): T | null {
  try {
    const value: unknown = JSON.parse(text);
    return isValid(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHistory(value: unknown): value is TimelineOrigin[] {
  const isOrigin = (one: unknown) =>
    isObject(one) && isWhole(one.timeline) && isWhole(one.term) && isWhole(one.from);
  return Array.isArray(value) && value.length > 0 && value.every(isOrigin);
}

function isPosition(value: unknown): value is Position {
  return isObject(value) && isHistory(value.history) && isWhole(value.lsn);
}

function isRule(value: unknown): value is Rule {
  if (!isObject(value) || !isWhole(value.term) || typeof value.primary !== 'string') return false;
  if (!Array.isArray(value.standbys)) return false;
  if (!value.standbys.every((name) => typeof name === 'string')) return false;
  return isWhole(value.quorum) && typeof value.mayLose === 'boolean' && isHistory(value.history);
}

function isEpoch(value: unknown): value is Epoch {
  if (!isObject(value) || !isWhole(value.term) || typeof value.primary !== 'string') return false;
  return typeof value.systemIdentifier === 'string' && isHistory(value.history) && isRule(value.rule);
}

function isControl(value: unknown): value is Control {
  if (!isObject(value) || typeof value.paused !== 'boolean') return false;
  const { switchover, failover } = value;
  const isSwitchover =
    switchover === null || (isObject(switchover) && isWhole(switchover.term) && isNameOrNull(switchover.to));
  const isFailover =
    failover === null ||
    (isObject(failover) && isWhole(failover.afterTerm) && typeof failover.to === 'string');
  return isSwitchover && isFailover;
}

function isNameOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function isMember(value: unknown): value is Member {
  if (!isObject(value) || typeof value.holder !== 'string' || typeof value.state !== 'string') return false;
  if (!isWhole(value.priority) || !isNameOrNull(value.systemIdentifier)) return false;
  if (!isContact(value.contact)) return false;
  const { vote, upstream = null, replicateFrom = null } = value;
  const isVote = vote === null || (isObject(vote) && isWhole(vote.afterTerm) && isPosition(vote.position));
  const isStandby = (upstream === null || isUpstream(upstream)) && isNameOrNull(replicateFrom);
  return isVote && isStandby && typeof value.mayBegin === 'boolean';
}

function isUpstream(value: unknown): value is Upstream {
  if (!isObject(value) || !isWhole(value.term)) return false;
  return typeof value.node === 'string' && typeof value.streams === 'boolean';
}

function isContact(value: unknown): value is Contact {
  if (!isObject(value) || typeof value.host !== 'string' || value.host === '') return false;
  return isWhole(value.port) && value.port <= 65_535 && isNameOrNull(value.api);
}
