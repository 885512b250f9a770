/** Remembers where each value of a configuration came from, by its path of keys. */
import type { Origin } from './problem.js';

/** Origins by path. A path without an origin of its own has that of the nearest path above it. */
export class OriginMap {
  readonly #origins = new Map<string, Origin>();

  set(path: readonly PropertyKey[], origin: Origin): void {
    this.#origins.set(join(path), origin);
  }

  /** A value from elsewhere takes this path's place: what stood beneath it is forgotten. */
  replace(path: readonly PropertyKey[], origin: Origin): void {
    const beneath = `${join(path)}\0`;
    for (const known of this.#origins.keys()) {
      if (known.startsWith(beneath)) this.#origins.delete(known);
    }
    this.set(path, origin);
  }

  /** A copy in which a path has another origin. */
  with(path: readonly PropertyKey[], origin: Origin): OriginMap {
    const copy = new OriginMap();
    for (const [known, its] of this.#origins) copy.#origins.set(known, its);
    copy.replace(path, origin);
    return copy;
  }

  get(path: readonly PropertyKey[]): Origin {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(join(path.slice(0, length)));
      if (origin) return origin;
    }
    return { kind: 'none' };
  }
}

function join(path: readonly PropertyKey[]): string {
  return path.map(String).join('\0');
}
