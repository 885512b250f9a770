/**
 * `postmaster.pid`, the file by which a running PostgreSQL marks its data folder as taken and tells how far it is
 * (src/include/utils/pidfile.h in PostgreSQL's source names the lines; line 8 exists since PostgreSQL 10).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './agent-error.js';

export interface PostmasterFile {
  readonly pid: number;
  readonly dataDirectory: string;
  /** null until it listens. */
  readonly port: number | null;
  /** Of its first unix socket; null: it has none, or doesn't listen yet. */
  readonly socketFolder: string | null;
  /** `ready` = accepts connections (reads only, on a standby); `standby` = recovering, and won't accept any. */
  readonly status: 'starting' | 'stopping' | 'ready' | 'standby' | null;
}

/** Reads the text of the file; null when it is not (yet) whole enough to hold a process id. */
export function parsePostmasterFile(text: string): PostmasterFile | null {
  const lines = text.split('\n');
  // A negative id marks a stand-alone backend.
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10));
  if (!Number.isSafeInteger(pid) || pid === 0) return null;
  const port = Number.parseInt(lines[3] ?? '', 10);
  return {
    pid,
    dataDirectory: lines[1] ?? '',
    port: Number.isNaN(port) || port === 0 ? null : port,
    socketFolder: lines[4] === undefined || lines[4].trim() === '' ? null : lines[4].trim(),
    status: readStatus(lines[7]?.trim()),
  };
}

function readStatus(word: string | undefined): PostmasterFile['status'] {
  return word === 'starting' || word === 'stopping' || word === 'ready' || word === 'standby' ? word : null;
}

/** The file of this data folder, or null when there is none. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | null> {
  try {
    return parsePostmasterFile(await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}
