/** The embedded store, as an agent has it: a client of the server on its machine. */
import { Agent } from 'node:http';
import type { z } from 'zod';
import { leaseTimes } from '../../cluster/lease-time.js';
import type { Holding, Leader, StoreView } from '../../cluster/store-view.js';
import { type Endpoint, requestJson } from '../json-request.js';
import {
  checkEntry,
  type PublishCondition,
  renewalLimit,
  type Store,
  StoreError,
  type StoreSettings,
  type StoreWatch,
} from '../store.js';
import { ViewWatch } from '../view-watch.js';
import {
  DONE_ANSWER,
  type EmbeddedPath,
  type EmbeddedRequest,
  KEPT_ANSWER,
  NUMBER_ANSWER,
  VIEW_ANSWER,
} from './embedded-protocol.js';

/** How much longer than the server a client waits for the answer to a question that may take its time. ms. */
const CHANGE_GRACE_MS = 2000;

/** A {@link Store} behind the unix socket of an `EmbeddedServer`. */
export class EmbeddedStore implements Store {
  readonly description: string;
  readonly #settings: StoreSettings;
  readonly #endpoint: Endpoint;

  constructor(socketPath: string, settings: StoreSettings) {
    this.description = `embedded store at ${socketPath}`;
    this.#settings = settings;
    this.#endpoint = {
      description: this.description,
      secure: false,
      options: { socketPath },
      agent: new Agent({ keepAlive: true }),
    };
  }

  async read(): Promise<StoreView> {
    const view = await this.#ask('/view', {}, VIEW_ANSWER);
    return { ...view, values: new Map(view.values), members: new Map(view.members) };
  }

  async acquire(holder: string, afterTerm: number): Promise<Holding | null> {
    const since = this.#settings.clock();
    const leaseMs = leaseTimes(this.#settings.leaseMs).takeoverMs;
    const { given: term } = await this.#ask('/acquire', { holder, afterTerm, leaseMs }, NUMBER_ANSWER);
    return term === null ? null : { holder, term, since, lease: `${holder} ${term}` };
  }

  async renew(holding: Holding): Promise<Holding | null> {
    const since = this.#settings.clock();
    const leaseMs = leaseTimes(this.#settings.leaseMs).takeoverMs;
    // One server on the same machine: to wait for a late answer is worth more than to ask again.
    const { kept } = await this.#ask('/renew', { leader: leaderOf(holding), leaseMs }, KEPT_ANSWER);
    return kept ? { ...holding, since } : null;
  }

  async release(leader: Leader): Promise<void> {
    await this.#ask('/release', { leader: leaderOf(leader) }, DONE_ANSWER);
  }

  async publish(name: string, text: string, condition: PublishCondition): Promise<number | null> {
    checkEntry(name, text);
    const leader = condition.leader === undefined ? null : leaderOf(condition.leader);
    const { version } = condition;
    return (await this.#ask('/publish', { name, text, version, leader }, NUMBER_ANSWER)).given;
  }

  async register(member: string, text: string): Promise<void> {
    checkEntry(member, text);
    const { memberMs } = this.#settings;
    await this.#ask('/register', { name: member, text, memberMs }, DONE_ANSWER);
  }

  async withdraw(member: string): Promise<void> {
    await this.#ask('/withdraw', { name: member }, DONE_ANSWER);
  }

  watch(onView: (view: StoreView) => void, onTrouble: (error: StoreError) => void): StoreWatch {
    const { refreshMs } = this.#settings;
    const changeAfter = async (after: number, signal: AbortSignal) => {
      await this.#ask('/change', { after, limitMs: refreshMs }, DONE_ANSWER, signal);
    };
    return new ViewWatch({ read: () => this.read(), changeAfter, refreshMs }, onView, onTrouble);
  }

  async close(): Promise<void> {
    this.#endpoint.agent.destroy();
  }

  async #ask<Path extends EmbeddedPath, Answer>(
    path: Path,
    body: EmbeddedRequest<Path>,
    schema: z.ZodType<Answer>,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const limitMs = this.#limitOf(path);
    const request = { path, body, limitMs, ...(signal !== undefined && { signal }) };
    const answer = await requestJson(this.#endpoint, request);
    const parsed = schema.safeParse(answer.body);
    if (answer.status !== 200 || !parsed.success) {
      throw new StoreError(
        'protocol',
        `${this.description}: unexpected answer to ${path} (${answer.status})`,
      );
    }
    return parsed.data;
  }

  #limitOf(path: EmbeddedPath): number {
    const { requestMs, refreshMs } = this.#settings;
    if (path === '/renew') return renewalLimit(this.#settings);
    return path === '/change' ? refreshMs + CHANGE_GRACE_MS : requestMs;
  }
}

function leaderOf({ holder, term }: Leader): Leader {
  return { holder, term };
}
