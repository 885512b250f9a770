/** What somebody else than the nodes themselves says of them: which there are, and perhaps which one is the primary. */
import type { NodeSettings } from '../settings.js';

/** Whom the manager of a cluster calls the primary. It is a hint: the node itself has to say so, too. */
export interface ManagersWord {
  /** The node's name. */
  readonly leader: string;
  /** The timeline that the manager knows it to be on; 0: it doesn't say. */
  readonly timeline: number;
}

/** One answer of a source. Values only: they cross between threads. */
export interface FoundNodes {
  /** `nodesFrom` of the databases that it is about. */
  readonly source: string;
  readonly nodes: readonly NodeSettings[];
  readonly word: ManagersWord | null;
}
