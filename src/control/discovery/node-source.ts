/** Somebody who can be asked which nodes there are. */
import type { ManagersWord } from '../../core/route/found-nodes.js';
import type { NodeSettings } from '../../core/settings.js';

/** One answer. */
export interface Finding {
  readonly nodes: readonly NodeSettings[];
  readonly word: ManagersWord | null;
}

export interface NodeSource {
  /** Between two questions, at most. ms. */
  readonly intervalMs: number;
  /**
   * Asks; bounded in time and size.
   * @throws an error with a message for people
   */
  read(): Promise<Finding>;
  /** Resolves when there may be news, if the source can tell; never rejects. Missing: it can't. */
  untilNews?(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** More nodes than this make an answer worth nothing. */
export const FOUND_NODES_MAX = 64;
/** How long a source may take to answer. ms. */
export const SOURCE_MS_MAX = 5000;
