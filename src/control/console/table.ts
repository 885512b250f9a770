/** What a SHOW table is: its columns, and how its rows are got from what the gateway says of itself. */
import type { SettingRow } from '../../config/change-setting.js';
import type { ConsoleColumn, ConsoleType } from '../../core/console.js';
import type { GatewaySettings } from '../../core/settings.js';
import type { Snapshot, SnapshotDetail } from '../../core/snapshot.js';
import type { ListeningSocket } from '../../reactor/start.js';
import type { ClusterStatus } from '../cluster/cluster-watch.js';
import type { GatewayEvent } from '../event-log.js';
import type { MemoryUse } from '../memory-use.js';
import type { Row } from './filter.js';
import type { StatsPeriod } from './stats-period.js';

/** Everything that a table may be made of. */
export interface Facts {
  readonly snapshot: Snapshot;
  readonly settings: GatewaySettings;
  readonly config: readonly SettingRow[];
  readonly version: string;
  readonly listenPort: number;
  /** The listening sockets, which a successor may be given. */
  readonly listeningSockets: readonly ListeningSocket[];
  /** What the store of the cluster says; null: there is none. */
  readonly cluster: ClusterStatus | null;
  readonly events: readonly GatewayEvent[];
  readonly memory: MemoryUse;
  /** What has been counted in the last full period. */
  readonly period: StatsPeriod;
  /** When the snapshot was taken, by the wall clock. */
  readonly takenAt: Date;
}

export interface Table {
  readonly columns: readonly ConsoleColumn[];
  /** What its rows need beside the figures. */
  readonly detail?: SnapshotDetail;
  /** Users who may only look don't see it. */
  readonly adminOnly?: true;
  readonly rows: (facts: Facts) => readonly Row[];
}

const TYPES: Readonly<Record<string, ConsoleType>> = {
  s: 'text',
  i: 'int4',
  q: 'int8',
  N: 'numeric',
  b: 'bytea',
};

/** Columns from `name` (text), `name:i` (int4), `name:q` (int8), `name:N` (numeric) and `name:b` (bytea), with spaces between. */
export function columns(list: string): readonly ConsoleColumn[] {
  return list
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [name, type = 's'] = entry.split(':');
      return { name: name!, type: TYPES[type]! };
    });
}

/** A value as its text; switches as 0 and 1. */
export function cell(value: string | number | boolean | null): string | null {
  if (value === null) return null;
  return typeof value === 'boolean' ? String(Number(value)) : String(value);
}

export function row(...values: (string | number | boolean | null)[]): Row {
  return values.map(cell);
}
