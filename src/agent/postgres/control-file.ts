/**
 * PostgreSQL's `pg_control` (src/include/catalog/pg_control.h), of which the beginning is the same in all versions that are
 * known here; npm's PostgreSQL has no pg_controldata.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `pg_control_version` of PostgreSQL 13 to 17, and of 18. */
const KNOWN_VERSIONS = new Set([1300, 1800]);
const OFFSETS = { systemIdentifier: 0, version: 8, checkpointTimeline: 48, recoveryTimeline: 144 } as const;

export interface ControlFile {
  readonly systemIdentifier: string;
  /**
   * The timeline that PostgreSQL is on as far as this file knows: of the last checkpoint, or of the end of recovery, which is noted
   * before anything can be written on a new timeline. Null: a version that isn't known.
   */
  readonly timeline: number | null;
}

/** Null: it isn't there, or is cut off. Numbers are in the byte order of the machine: that of x86 and ARM. */
export async function readControlFile(data: string): Promise<ControlFile | null> {
  const control = await readFile(join(data, 'global', 'pg_control')).catch(() => null);
  if (control === null || control.length < OFFSETS.recoveryTimeline + 4) return null;
  const isKnown = KNOWN_VERSIONS.has(control.readUInt32LE(OFFSETS.version));
  const timelines = [OFFSETS.checkpointTimeline, OFFSETS.recoveryTimeline].map((at) =>
    control.readUInt32LE(at),
  );
  return {
    systemIdentifier: control.readBigUInt64LE(OFFSETS.systemIdentifier).toString(),
    timeline: isKnown ? Math.max(...timelines) : null,
  };
}
