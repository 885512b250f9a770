/** A disk that is small, and that can be full or stand still: a file system of its own in a file. Needs Linux and root. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, succeed } from '../../harness/command.js';

export class SmallDisk {
  readonly #folder: string;
  readonly #image: string;
  #isFrozen = false;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#image = `${folder}.disk`;
  }

  /** Makes it, empty, at the place of a folder. */
  static async mount(folder: string, megabytes: number): Promise<SmallDisk> {
    const disk = new SmallDisk(folder);
    await succeed('truncate', ['-s', `${megabytes}M`, disk.#image]);
    await succeed('mkfs.ext4', ['-q', '-m', '0', disk.#image]);
    await succeed('mount', ['-o', 'loop', disk.#image, folder]);
    return disk;
  }

  /** Leaves no byte. */
  async fill(): Promise<void> {
    const file = join(this.#folder, 'ballast');
    // It ends with an error, since that is what is wanted.
    await run('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', 'conv=notrunc', 'oflag=append']);
    await run('dd', ['if=/dev/zero', `of=${file}`, 'bs=1k', 'conv=notrunc', 'oflag=append']);
  }

  empty(): void {
    rmSync(join(this.#folder, 'ballast'), { force: true });
  }

  /** Whoever writes to it, waits, and can't be killed. */
  async freeze(): Promise<void> {
    this.#isFrozen = true;
    await succeed('fsfreeze', ['--freeze', this.#folder]);
  }

  async thaw(): Promise<void> {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    await succeed('fsfreeze', ['--unfreeze', this.#folder]);
  }

  /** Nobody may have a file open there. */
  async unmount(): Promise<void> {
    await this.thaw();
    const { code } = await run('umount', [this.#folder]);
    if (code !== 0) await succeed('umount', ['--lazy', this.#folder]);
    rmSync(this.#image);
  }
}
