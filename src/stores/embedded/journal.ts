/**
 * The embedded store's file: each line is a checksum and the whole lasting state, and the last good line counts. A line
 * that a crash has torn was never answered, so it is cut off; anything else that is wrong is damage, and said so.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { StoreError } from '../store.js';
import { EMPTY_STATE, type LastingState } from './embedded-state.js';

/** The file is written anew with one line when it has grown to this. Bytes. */
const JOURNAL_BYTES_MAX = 1024 * 1024;

const WHOLE = z.number().int().nonnegative();
const LASTING = z.object({
  revision: WHOLE,
  term: WHOLE,
  leader: z.object({ holder: z.string(), term: WHOLE, leaseMs: z.number().positive() }).nullable(),
  values: z.record(z.string(), z.object({ text: z.string(), version: WHOLE })),
});

/** An open journal. Appends must not overlap. */
export class Journal {
  readonly #path: string;
  #file: FileHandle;
  #bytes: number;
  #failed: Error | null = null;

  private constructor(path: string, file: FileHandle, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens the file, or makes it; with the state that it holds. Throws a StoreError if it is damaged. */
  static async open(path: string): Promise<{ journal: Journal; state: LastingState }> {
    const { state, goodBytes } = readJournal(path, await readIfThere(path));
    const isNew = goodBytes === 0;
    const file = await open(path, isNew ? 'w' : 'r+', 0o600);
    await file.truncate(goodBytes);
    await file.datasync();
    if (isNew) await syncFolder(dirname(path));
    return { journal: new Journal(path, file, goodBytes), state };
  }

  /** Resolves when the state is on the disk. After a failure nothing more is written: what is there is not known. */
  async append(state: LastingState): Promise<void> {
    if (this.#failed !== null) throw this.#failed;
    try {
      const line = lineOf(state);
      if (this.#bytes + line.length > JOURNAL_BYTES_MAX) return await this.#writeAnew(line);
      await this.#file.write(line, 0, line.length, this.#bytes);
      await this.#file.datasync();
      this.#bytes += line.length;
    } catch (error) {
      this.#failed = error as Error;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #writeAnew(line: Buffer): Promise<void> {
    const draft = `${this.#path}.new`;
    const file = await open(draft, 'w', 0o600);
    await file.write(line, 0, line.length, 0);
    await file.datasync();
    await rename(draft, this.#path);
    await syncFolder(dirname(this.#path));
    await this.#file.close();
    this.#file = file;
    this.#bytes = line.length;
  }
}

function lineOf(state: LastingState): Buffer {
  const text = JSON.stringify(state);
  return Buffer.from(`${checksum(text)} ${text}\n`);
}

/** What a journal's bytes say. Exported for its test. */
export function readJournal(path: string, bytes: Buffer): { state: LastingState; goodBytes: number } {
  let state: LastingState | null = null;
  let goodBytes = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    const read = end === -1 ? null : readLine(bytes.toString('utf8', at, end));
    if (read === null) {
      const isLast = end === -1 || end === bytes.length - 1;
      if (isLast) break;
      throw new StoreError(
        'protocol',
        `${path} is damaged at byte ${at}: restore it, or remove it to begin a new cluster`,
      );
    }
    state = read;
    goodBytes = end + 1;
    at = goodBytes;
  }
  return { state: state ?? EMPTY_STATE, goodBytes };
}

function readLine(line: string): LastingState | null {
  const [sum, text] = [line.slice(0, 8), line.slice(9)];
  if (line[8] !== ' ' || checksum(text) !== sum) return null;
  const parsed = LASTING.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : null;
}

/** Eight digits. */
function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

async function readIfThere(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** Makes a new name in a folder durable. Not every system lets a folder be opened. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null);
  if (folder === null) return;
  await folder.sync().catch(() => {});
  await folder.close();
}
