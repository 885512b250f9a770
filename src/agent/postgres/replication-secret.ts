/**
 * The password of the replication role, also while it changes. The file has a new one at another moment on each node, and the
 * primary takes it over when all have it; until a login with it succeeds a standby goes on with the one before, so that its
 * stream can always come back.
 */
import { pbkdf2 } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { NodePaths } from './state-folder.js';

const derive = promisify(pbkdf2);
const KEY_ITERATIONS = 100_000;

/** One line of libpq's password file. */
export function passfileLine(user: string, password: string | null): string {
  const escaped = (password ?? '').replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  return `*:*:*:${user}:${escaped}\n`;
}

export class ReplicationSecret {
  readonly #paths: NodePaths;
  readonly #user: string;
  #wanted: string | null;
  #inUse: string | null;
  #key: string | null = null;
  #isLoaded = false;

  constructor(paths: NodePaths, user: string, wanted: string | null) {
    this.#paths = paths;
    this.#user = user;
    this.#wanted = wanted;
    this.#inUse = wanted;
    void this.#makeKey(wanted);
  }

  /** What the primary was last known to take. */
  get inUse(): string | null {
    return this.#inUse;
  }

  /** What the file holds. */
  get wanted(): string | null {
    return this.#wanted;
  }

  /** A password that the file holds and that isn't in use yet; null: there is none. */
  get next(): string | null {
    return this.#wanted === this.#inUse ? null : this.#wanted;
  }

  /**
   * By it nodes see whether they have the same password: eight bits of a hash, of which nobody learns more of it than that.
   * Null: there is no password, or it is being made.
   */
  get key(): string | null {
    return this.#key;
  }

  /** The file holds this now. */
  want(password: string | null): void {
    if (password === this.#wanted) return;
    this.#wanted = password;
    // From or to none there is no way that a login could show.
    if (password === null || this.#inUse === null) this.#inUse = password;
    this.#key = null;
    void this.#makeKey(password);
  }

  /** The primary takes what the file holds. */
  adopt(): void {
    this.#inUse = this.#wanted;
  }

  /** In an earlier life another one may have been in use. */
  async load(): Promise<void> {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    const [line = ''] = (await readFile(this.#paths.passfile, 'utf8').catch(() => '')).split('\n');
    const start = `*:*:*:${this.#user}:`;
    if (!line.startsWith(start) || this.#wanted === null) return;
    const password = line.slice(start.length).replace(/\\(.)/g, '$1');
    if (password !== '') this.#inUse = password;
  }

  async #makeKey(password: string | null): Promise<void> {
    if (password === null) return;
    const key = await derive(password, `sluice ${this.#user}`, KEY_ITERATIONS, 1, 'sha256');
    if (password === this.#wanted) this.#key = key.toString('hex');
  }
}
