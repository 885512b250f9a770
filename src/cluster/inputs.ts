/** What a node's machine is told, and what it asks to be done. Times (`at`, ms) are of the node's own monotonic clock. */
import type { Lsn, Position } from './position.js';
import type { ClusterView, Epoch, Member } from './records.js';
import type { ClusterSettings } from './settings.js';
import type { EventName, StateName } from './states.js';
import type { Holding, Leader } from './store-view.js';

/** What a data folder is good for. `none`: there is none; `damaged`: half rewound, half copied, or without files that it needs. */
export type Data = 'whole' | 'damaged' | 'none';

/** What is known of a stopped PostgreSQL. */
export interface Stopped {
  readonly data: Data;
  /** Null: there is none, or it can't be read. */
  readonly systemIdentifier: string | null;
}

/** What has become of a command. Each command gets exactly one answer, however long that takes. */
export type Answer =
  | { readonly kind: 'stopped'; readonly stopped: Stopped }
  /** It runs, receives nothing, and has so much. After `start`, `detach` and `promote`. */
  | { readonly kind: 'at'; readonly position: Position }
  /** After `synchronize`: from `lsn` on commits wait for these standbys. */
  | { readonly kind: 'synchronized'; readonly lsn: Lsn }
  | { readonly kind: 'checkpointed' }
  /** After `hold`: no transaction runs any more. */
  | { readonly kind: 'drained' }
  | { readonly kind: 'rewound' }
  | { readonly kind: 'cloned'; readonly systemIdentifier: string }
  /** After `acquire` and `renew`; null: refused. */
  | { readonly kind: 'lease'; readonly holding: Holding | null }
  /** After `publish`; null: refused. */
  | { readonly kind: 'published'; readonly version: number | null }
  /** A `rewind` or `clone` that has changed nothing: the primary did not answer. PostgreSQL is stopped. */
  | { readonly kind: 'not begun' }
  /** A `start` that can never succeed: WAL is gone that the data need. PostgreSQL is stopped. */
  | { readonly kind: 'damaged' }
  /** It was not done, or that is not known. */
  | { readonly kind: 'failed' };

/** How far a standby has acknowledged. */
export interface StandbyProgress {
  readonly name: string;
  /** Flushed to its disk. */
  readonly flushed: Lsn;
}

export type Input = { readonly at: number } & (
  | { readonly kind: 'tick' }
  /** Null: what the store holds is not understood. */
  | { readonly kind: 'view'; readonly view: ClusterView | null }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  /** The postmaster is gone, for certain, and nobody has asked for that. */
  | { readonly kind: 'ended' }
  /** On a primary, several times a second: who streams, and how far. */
  | { readonly kind: 'replication'; readonly streaming: readonly StandbyProgress[] }
  /** On a standby, when that changes: whether WAL comes from whom it was told to follow, or has not for a while. */
  | { readonly kind: 'stream'; readonly upstream: string; readonly isThere: boolean }
  /** A standby's stream asks for WAL that whom it follows has no more; repeated as long as it is so. */
  | { readonly kind: 'stream broken'; readonly upstream: string }
  /** An operator wants this node's data replaced by the primary's. It is obeyed at once or not at all. */
  | { readonly kind: 'reinit' }
  /** The operator has changed how this node behaves. Its name and the lease stay as they were, whatever this says. */
  | { readonly kind: 'settings'; readonly settings: ClusterSettings }
  /** A standby has received nothing for seconds, and has nothing to replay, though whom it follows would send; repeated. */
  | { readonly kind: 'stream stuck'; readonly upstream: string }
  /** A canary's write has not come back for too long, though the process runs. */
  | { readonly kind: 'wedged' }
);

/** What happened, for people and programs that keep a history. */
export type Report =
  | { readonly what: 'state'; readonly from: StateName; readonly event: EventName; readonly to: StateName }
  | {
      readonly what: 'leads';
      readonly term: number;
      readonly after: string | null;
      readonly from: Position;
      readonly isForced: boolean;
    }
  /** WAL that no one else has goes before this node can follow: what was lost, or was never acknowledged. */
  | { readonly what: 'left behind'; readonly from: Lsn; readonly to: Lsn; readonly timeline: number };

/** From which primary, and from where on the own WAL is kept aside. */
interface DataReplacement {
  readonly id: number;
  readonly primary: string;
  readonly keepFrom: Lsn | null;
}

/** To be done. Those with an `id` are answered; those to PostgreSQL are done one after the other (`hold` is begun). */
export type Effect =
  /** `fast` lets standbys receive the rest, and is bounded by `limitMs`; `immediate` ends everything now. */
  | {
      readonly do: 'stop';
      readonly id: number;
      readonly mode: 'fast' | 'immediate';
      readonly limitMs: number;
    }
  /** As a standby of nobody, closed to clients that write. */
  | { readonly do: 'start'; readonly id: number }
  /** Receives nothing more; what has come is flushed. */
  | { readonly do: 'detach'; readonly id: number }
  /** Receives the WAL of this term's primary, from that or from another standby. Again, it changes over while it runs. */
  | { readonly do: 'follow'; readonly upstream: string; readonly term: number }
  /** The new timeline's number must be greater than `above`: others have used those up to it. */
  | { readonly do: 'promote'; readonly id: number; readonly term: number; readonly above: number }
  /** Lets commits wait for `quorum` of these, from the next one on. */
  | {
      readonly do: 'synchronize';
      readonly id: number;
      readonly standbys: readonly string[];
      readonly quorum: number;
    }
  /** Lets clients in; again after `hold`. */
  | { readonly do: 'open' }
  /** Gets what is dirty to the disk while clients go on; the stop that follows has little left to write. Is begun, as `hold`. */
  | { readonly do: 'checkpoint'; readonly id: number }
  /** No new transactions; the answer comes when the running ones have ended. */
  | { readonly do: 'hold'; readonly id: number }
  /** The PostgreSQL may be a primary until then. Whoever guards it ends it at that moment, whatever became of us. */
  | { readonly do: 'permit'; readonly until: number }
  /**
   * Stops, keeps a copy of the WAL from `keepFrom` on (null: there is none to keep), and becomes as the primary is. From
   * the first change to the last the folder counts as `damaged`, also if the agent doesn't live to see the end.
   */
  | ({ readonly do: 'rewind' } & DataReplacement)
  | ({ readonly do: 'clone' } & DataReplacement)
  | { readonly do: 'acquire'; readonly id: number; readonly afterTerm: number }
  | { readonly do: 'renew'; readonly id: number; readonly holding: Holding }
  | { readonly do: 'release'; readonly leader: Leader }
  | {
      readonly do: 'publish';
      readonly id: number;
      readonly epoch: Epoch;
      readonly version: number;
      readonly leader: Leader;
    }
  | { readonly do: 'register'; readonly member: Member }
  | { readonly do: 'report'; readonly report: Report };
