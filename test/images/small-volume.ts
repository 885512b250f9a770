/** A file system of its own, small enough to be filled. Needs root and loop devices. */
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { succeed } from '../harness/command.js';

const SIZE_BYTES = 512 * 1024 * 1024;
const PIECE = Buffer.alloc(1024 * 1024);

export class SmallVolume {
  readonly #folder: string;
  readonly #filler: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#filler = join(folder, 'filler');
  }

  /** Mounts it at a folder, which is made. */
  static async mount(folder: string): Promise<SmallVolume> {
    const image = `${folder}.ext4`;
    mkdirSync(folder);
    closeSync(openSync(image, 'w'));
    truncateSync(image, SIZE_BYTES);
    await succeed('mkfs.ext4', ['-q', '-m', '0', image]);
    await succeed('mount', ['-o', 'loop', image, folder]);
    return new SmallVolume(folder);
  }

  /** Takes all of the room that is left. */
  fill(): void {
    const file = openSync(this.#filler, 'w');
    try {
      for (let size = PIECE.length; size >= 512; size /= 2) writeUntilFull(file, PIECE.subarray(0, size));
    } finally {
      closeSync(file);
    }
  }

  /** Gives it back. */
  empty(): void {
    rmSync(this.#filler, { force: true });
  }

  async discard(): Promise<void> {
    await succeed('umount', [this.#folder]);
  }
}

function writeUntilFull(file: number, piece: Buffer): void {
  try {
    while (writeSync(file, piece) === piece.length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
