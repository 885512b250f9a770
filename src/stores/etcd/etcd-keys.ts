/** Where a cluster's records lie in etcd, and how they become a view. */
import { z } from 'zod';
import type { Leader, StoredValue, StoreView } from '../../cluster/store-view.js';
import { StoreError } from '../store.js';
import { decode, type EtcdKeyValue, encode } from './etcd-answers.js';

const LEADER = z.object({ holder: z.string(), term: z.number().int().nonnegative() });

/** The keys of one cluster, under its prefix. */
export class EtcdKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix.replace(/\/*$/, '/');
  }

  /** Hangs on the holder's lease. */
  get leader(): string {
    return encode(`${this.#prefix}leader`);
  }

  /** The last term that was given out; never deleted. */
  get term(): string {
    return encode(`${this.#prefix}term`);
  }

  value(name: string): string {
    return encode(`${this.#prefix}values/${name}`);
  }

  member(name: string): string {
    return encode(`${this.#prefix}members/${name}`);
  }

  /** All of it. '0' follows '/'. */
  get all(): { key: string; range_end: string } {
    return { key: encode(this.#prefix), range_end: encode(`${this.#prefix.slice(0, -1)}0`) };
  }

  view(revision: number, entries: readonly EtcdKeyValue[]): StoreView {
    let term = 0;
    let leader: Leader | null = null;
    const values = new Map<string, StoredValue>();
    const members = new Map<string, string>();
    for (const { key, value, mod_revision: version } of entries) {
      const name = decode(key).slice(this.#prefix.length);
      const text = decode(value);
      const folder = /^(values|members)\/(.+)$/.exec(name);
      if (name === 'leader') leader = this.#leaderIn(text);
      else if (name === 'term') term = Number(text);
      else if (folder?.[1] === 'values') values.set(folder[2] as string, { text, version });
      else if (folder?.[1] === 'members') members.set(folder[2] as string, text);
    }
    if (!Number.isSafeInteger(term)) throw new StoreError('protocol', `${this.#prefix}term is no number`);
    return { revision, term, leader, values, members };
  }

  #leaderIn(text: string): Leader {
    try {
      return LEADER.parse(JSON.parse(text));
    } catch {
      // Taken for a leader all the same: who can't be read may still act.
      throw new StoreError('protocol', `${this.#prefix}leader is not of this version`);
    }
  }
}

/** A leader as its key holds it: always the same bytes, since they are compared. */
export function leaderText({ holder, term }: Leader): string {
  return JSON.stringify({ holder, term });
}
