/**
 * Which term began which timeline. PostgreSQL doesn't know terms, and its timelines' numbers repeat; so the agent keeps them
 * beside the data: of the timelines that began here before anybody can write on them, of others before any of their WAL can
 * come.
 */
import { readFile } from 'node:fs/promises';
import type { TimelineOrigin } from '../../cluster/position.js';
import { errorCode } from '../agent-error.js';
import type { ServerUser } from '../server-user.js';
import type { NodePaths } from './state-folder.js';
import { writeDurably } from './state-folder.js';
import type { TimelineStart } from './timeline-history.js';

/** A promotion of this node that is not known to have succeeded. */
export interface Promotion {
  readonly timeline: number;
  readonly term: number;
}

interface Terms {
  readonly origins: readonly TimelineOrigin[];
  readonly promoting: Promotion | null;
}

const NOTHING: Terms = { origins: [], promoting: null };

export class TermLedger {
  readonly #paths: NodePaths;
  readonly #user: ServerUser | null;

  constructor(paths: NodePaths, user: ServerUser | null) {
    this.#paths = paths;
    this.#user = user;
  }

  /** Gives each timeline its term; 0: nobody has said, so it is older than the cluster. */
  async withTerms(starts: readonly TimelineStart[]): Promise<TimelineOrigin[]> {
    const { origins, promoting } = await this.#read();
    return starts.map(({ timeline, from }) => {
      const known = origins.find((origin) => origin.timeline === timeline && origin.from === from);
      const isOurs = known === undefined && promoting?.timeline === timeline;
      return { timeline, term: isOurs ? promoting.term : (known?.term ?? 0), from };
    });
  }

  /** Takes over what the store says of a primary's timelines. To be done before any of its WAL can come. */
  async learn(history: readonly TimelineOrigin[]): Promise<void> {
    const { origins, promoting } = await this.#read();
    const isSame = (a: TimelineOrigin) => (b: TimelineOrigin) =>
      a.timeline === b.timeline && a.from === b.from;
    const unknown = history.filter((origin) => !origins.some(isSame(origin)));
    const changed = history.filter((origin) =>
      origins.some((known) => isSame(origin)(known) && known.term !== origin.term),
    );
    if (unknown.length === 0 && changed.length === 0) return;
    const kept = origins.filter((origin) => !changed.some(isSame(origin)));
    await this.#write({ origins: [...kept, ...unknown, ...changed], promoting });
  }

  /** To be done before PostgreSQL is promoted. */
  async beginPromotion(promotion: Promotion): Promise<void> {
    const { origins } = await this.#read();
    await this.#write({ origins, promoting: promotion });
  }

  /** The timeline that a promotion has begun; to be done before anybody can write on it. */
  async endPromotion(origin: TimelineOrigin): Promise<void> {
    const { origins } = await this.#read();
    const others = origins.filter(
      ({ timeline, from }) => timeline !== origin.timeline || from !== origin.from,
    );
    await this.#write({ origins: [...others, origin], promoting: null });
  }

  async promotion(): Promise<Promotion | null> {
    return (await this.#read()).promoting;
  }

  async forgetPromotion(): Promise<void> {
    const { origins } = await this.#read();
    await this.#write({ origins, promoting: null });
  }

  /** Of data that is gone nothing is kept. */
  async replace(history: readonly TimelineOrigin[]): Promise<void> {
    await this.#write({ origins: history, promoting: null });
  }

  /** A file that can't be read is an error, and no empty one: all terms would be lost. */
  async #read(): Promise<Terms> {
    try {
      return JSON.parse(await readFile(this.#paths.terms, 'utf8')) as Terms;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return NOTHING;
      throw error;
    }
  }

  async #write(terms: Terms): Promise<void> {
    await writeDurably(this.#paths.terms, `${JSON.stringify(terms)}\n`, this.#user);
  }
}
