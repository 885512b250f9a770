/** What the distributed configuration store holds, as it was at one moment. */

/** Who leads, and since which election. */
export interface Leader {
  /** A name of one life of one agent: a restarted one calls itself otherwise. */
  readonly holder: string;
  readonly term: number;
}

/** The lease, as its holder has it. */
export interface Holding extends Leader {
  /** The holder's clock when the request was about to be sent that the lease counts from. ms. */
  readonly since: number;
  /** The store's own name of the lease. */
  readonly lease: string;
}

/** A value by its name. */
export interface StoredValue {
  readonly text: string;
  /** Changes with every publication, and only then; never 0. */
  readonly version: number;
}

/** Everything at one revision. */
export interface StoreView {
  /** Grows with every change. */
  readonly revision: number;
  /** The last term that was given out; 0: none yet. It never goes back, also when nobody leads. */
  readonly term: number;
  /** Null: nobody holds the lease, and nobody who held it under `term` or before ever will again. */
  readonly leader: Leader | null;
  readonly values: ReadonlyMap<string, StoredValue>;
  /** What the members that are there say of themselves. */
  readonly members: ReadonlyMap<string, string>;
}
