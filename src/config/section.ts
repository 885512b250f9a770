/** A section of a configuration file. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { OriginMap } from './origin-map.js';
import { formatKey, type Problem } from './problem.js';
import { explainUnreadable } from './unreadable.js';

/** Where its values stand, and which files they mean. */
export class Section {
  readonly #origins: OriginMap;
  readonly #problems: Problem[];
  readonly #at: readonly string[];
  /** Something in it was refused. */
  isRefused = false;

  constructor(origins: OriginMap, problems: Problem[], at: readonly string[]) {
    this.#origins = origins;
    this.#problems = problems;
    this.#at = at;
  }

  /** Adds to the problems what is wrong with a value. */
  refuse(keys: readonly string[], message: string): void {
    const path = [...this.#at, ...keys];
    this.#problems.push({ origin: this.#origins.get(path), key: formatKey(path), message });
    this.isRefused = true;
  }

  /** In a file, a relative path counts from its folder. */
  path(keys: readonly string[], value: string): string {
    const origin = this.#origins.get([...this.#at, ...keys]);
    return origin.kind === 'file' ? path.resolve(path.dirname(origin.file), value) : value;
  }

  /** A file's text; null if none is named, or if it can't be read: that is among the problems then. */
  async read(keys: readonly string[], value: string | undefined): Promise<string | null> {
    if (value === undefined) return null;
    try {
      return await readFile(this.path(keys, value), 'utf8');
    } catch (error) {
      this.refuse(keys, `${JSON.stringify(value)}: ${explainUnreadable(error)}`);
      return null;
    }
  }
}
