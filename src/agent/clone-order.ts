/** What is to be cloned, for both ways of doing it. */
import type pg from 'pg';
import type { NodeFolder } from './node-folder.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import type { ServerUser } from './server-user.js';

/** A copy of a primary's files, which lie on this machine. */
export interface CopyOrder {
  /** Where the copy goes. */
  readonly standby: NodeFolder;
  /** The primary's data folder. */
  readonly primaryData: string;
  /** Runs queries on the primary, over a connection of their own. */
  readonly withPrimary: <T>(work: (client: pg.Client) => Promise<T>) => Promise<T>;
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | null;
  readonly signal: AbortSignal;
  /** Called with percentages, 0 to 100. */
  readonly onPercent: (percent: number) => void;
}

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
