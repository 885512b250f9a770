/**
 * PostgreSQL's timeline history files, and LSNs as PostgreSQL writes them (its documentation, "Timelines" and "WAL
 * Internals"; src/backend/access/transam/timeline.c names the format).
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '../../cluster/position.js';

/** A timeline and its first byte, as PostgreSQL knows it. */
export interface TimelineStart {
  readonly timeline: number;
  readonly from: Lsn;
}

/** The first line of a file that only takes a number: PostgreSQL skips comments, and finds no ancestor in it. */
const PLACEHOLDER = '# sluice: this number is left out\n';

/** `1/0000A0B8` as a number. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new Error(`not an LSN: ${JSON.stringify(text)}`);
  return Number.parseInt(match[1]!, 16) * 2 ** 32 + Number.parseInt(match[2]!, 16);
}

/** The form in which PostgreSQL reads and writes it. */
export function formatLsn(lsn: Lsn): string {
  const high = Math.floor(lsn / 2 ** 32);
  return `${high.toString(16)}/${(lsn - high * 2 ** 32).toString(16)}`.toUpperCase();
}

/** Eight hexadecimal digits, as in the names of WAL files. */
export function timelineName(timeline: number): string {
  return timeline.toString(16).toUpperCase().padStart(8, '0');
}

/** The name of the WAL file that holds a byte. */
export function segmentName(timeline: number, lsn: Lsn, segmentBytes: number): string {
  const perLog = 2 ** 32 / segmentBytes;
  const number = Math.floor(lsn / segmentBytes);
  return timelineName(timeline) + timelineName(Math.floor(number / perLog)) + timelineName(number % perLog);
}

/** The timeline of a WAL file, or null when it is none. */
export function timelineOfSegment(name: string): number | null {
  return /^[0-9A-F]{24}$/.test(name) ? Number.parseInt(name.slice(0, 8), 16) : null;
}

/** Reads a history file: each line is a timeline and where the next one left it. */
export function parseHistory(text: string, timeline: number): TimelineStart[] {
  const origins: TimelineStart[] = [];
  let from = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const [parent, end] = line.trim().split(/\s+/);
    const number = Number(parent);
    if (!Number.isSafeInteger(number) || number < 1 || end === undefined) {
      throw new Error(`the history of timeline ${timeline} can't be read: ${JSON.stringify(line)}`);
    }
    origins.push({ timeline: number, from });
    from = parseLsn(end);
  }
  return [...origins, { timeline, from }];
}

/** What history files a folder of WAL holds. */
export interface HistoryFiles {
  /** The highest timeline of a file that says where it comes from; 1: there is none. */
  readonly newest: number;
  /** Numbers that are taken by placeholders. */
  readonly placeholders: readonly number[];
}

export async function findHistories(wal: string): Promise<HistoryFiles> {
  let newest = 1;
  const placeholders: number[] = [];
  for (const name of await readdir(wal)) {
    const digits = /^([0-9A-F]{8})\.history$/.exec(name)?.[1];
    if (digits === undefined) continue;
    const timeline = Number.parseInt(digits, 16);
    if ((await readFile(join(wal, name), 'utf8')).startsWith(PLACEHOLDER)) placeholders.push(timeline);
    else newest = Math.max(newest, timeline);
  }
  return { newest, placeholders };
}

/** The ancestors of a timeline, and itself. The first timeline has no file. */
export async function readHistory(wal: string, timeline: number): Promise<TimelineStart[]> {
  if (timeline === 1) return [{ timeline: 1, from: 0 }];
  return parseHistory(await readFile(historyPath(wal, timeline), 'utf8'), timeline);
}

export function historyPath(wal: string, timeline: number): string {
  return join(wal, `${timelineName(timeline)}.history`);
}

/** The text of a file that makes PostgreSQL skip its number. */
export function placeholderText(): string {
  return PLACEHOLDER;
}
