/** What is to be cloned, for both ways of doing it. */
import type { NodeFolder } from './node-folder.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import type { ServerUser } from './server-user.js';

export interface CloneOrder {
  /** Where the clone goes; data that are there are deleted. */
  readonly standby: NodeFolder;
  readonly primary: NodeFolder;
  readonly primaryPort: number;
  /** Made before the copy begins, so that no WAL that the clone needs can be removed. */
  readonly slot: string;
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | null;
  readonly signal: AbortSignal;
  /** Called with percentages, 0 to 100. */
  readonly onPercent: (percent: number) => void;
}
