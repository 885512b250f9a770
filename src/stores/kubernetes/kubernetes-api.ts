/**
 * The few requests of the Kubernetes API that a store needs: Leases (coordination.k8s.io/v1) of one namespace, changed only
 * over the resourceVersion that was read.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type JsonAnswer, type JsonRequest, requestJson } from '../json-request.js';
import { StoreError } from '../store.js';
import type { KubernetesSettings } from './kubernetes-settings.js';
import { LEASE, LEASE_LIST, type LeaseObject, STATUS } from './lease-object.js';
import { type Access, ServiceAccount } from './service-account.js';

/** How long a request that was turned away waits before it is sent again, if the answer doesn't say it. ms. */
const RETRY_MS = 200;

/** Leases of one cluster. Every method rejects with a StoreError alone. */
export class KubernetesApi {
  readonly #account: ServiceAccount;
  readonly #requestMs: number;
  readonly #clock: () => number;
  readonly #folder: string;
  readonly #selector: string;

  /** @param selector by which labels the cluster's Leases are found */
  constructor(settings: KubernetesSettings, selector: string, requestMs: number, clock: () => number) {
    this.#account = new ServiceAccount(settings, clock);
    this.#requestMs = requestMs;
    this.#clock = clock;
    this.#folder = `/apis/coordination.k8s.io/v1/namespaces/${settings.namespace}/leases`;
    this.#selector = encodeURIComponent(selector);
  }

  get description(): string {
    return this.#account.description;
  }

  /** All Leases as they are now: without a resourceVersion the answer is as new as a majority knows. */
  async list(): Promise<{ readonly resourceVersion: string; readonly items: readonly LeaseObject[] }> {
    const path = `${this.#folder}?labelSelector=${this.#selector}`;
    const { items, metadata } = this.#parsed(LEASE_LIST, await this.#ask({ method: 'GET', path }));
    return { resourceVersion: metadata.resourceVersion, items };
  }

  /** Null: there is none. */
  async get(name: string): Promise<LeaseObject | null> {
    const answer = await this.#send({ method: 'GET', path: this.#path(name) });
    return answer.status === 404 ? null : this.#parsed(LEASE, this.#accepted(answer));
  }

  /** Null: one with this name is there already. */
  async create(lease: object): Promise<LeaseObject | null> {
    const answer = await this.#send({ method: 'POST', path: this.#folder, body: lease });
    return answer.status === 409 ? null : this.#parsed(LEASE, this.#accepted(answer));
  }

  /** Replaces it if it still has the resourceVersion that `lease` names. Null: it has not, or it is gone. */
  async replace(lease: LeaseObject): Promise<LeaseObject | null> {
    const path = this.#path(lease.metadata.name);
    const answer = await this.#send({ method: 'PUT', path, body: lease });
    if (answer.status === 409 || answer.status === 404) return null;
    return this.#parsed(LEASE, this.#accepted(answer));
  }

  /** Changes fields of it, whatever it is now. Null: it is not there. */
  async merge(name: string, change: object): Promise<LeaseObject | null> {
    const headers = { 'content-type': 'application/merge-patch+json' };
    const answer = await this.#send({ method: 'PATCH', path: this.#path(name), body: change, headers });
    return answer.status === 404 ? null : this.#parsed(LEASE, this.#accepted(answer));
  }

  /** Removes it, if it still is the very one, and has this resourceVersion; null: whatever it is. */
  async remove(name: string, seen: LeaseObject | null): Promise<void> {
    const preconditions =
      seen === null ? undefined : { uid: seen.metadata.uid, resourceVersion: seen.metadata.resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    const answer = await this.#send({ method: 'DELETE', path: this.#path(name), body });
    if (answer.status !== 404 && answer.status !== 409) this.#accepted(answer);
  }

  /** Hands on what has happened since; ends when `onEvent` says so, when the server ends it, or by the signal. */
  async watch(
    resourceVersion: string,
    onEvent: (event: unknown) => boolean,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { endpoint, headers } = await this.#account.access();
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(resourceVersion)}`;
    const timeout = `timeoutSeconds=${Math.ceil(limitMs / 1000)}`;
    const path = `${this.#folder}?labelSelector=${this.#selector}&${query}&${timeout}`;
    const answer = await requestJson(endpoint, {
      method: 'GET',
      path,
      headers,
      limitMs,
      signal,
      onLine: onEvent,
    });
    if (answer.status === 401) this.#account.refused();
    // What came after that version is forgotten already: whoever waits reads everything again.
    if (answer.status !== 410) this.#accepted(answer);
  }

  close(): void {
    this.#account.close();
  }

  #path(name: string): string {
    return `${this.#folder}/${encodeURIComponent(name)}`;
  }

  async #ask(request: Omit<JsonRequest, 'limitMs'>): Promise<JsonAnswer> {
    return this.#accepted(await this.#send(request));
  }

  /**
   * Sends it again only where the server says that it has done nothing: a token that has run out (401), too many requests
   * (429). All of it within the time of one request.
   */
  async #send(request: Omit<JsonRequest, 'limitMs'>): Promise<JsonAnswer> {
    const deadline = this.#clock() + this.#requestMs;
    for (let isRenewed = false; ; ) {
      const access = await this.#account.access();
      const answer = await this.#sendOnce(request, access, deadline);
      if (answer.status === 401 && !isRenewed) {
        this.#account.refused();
        isRenewed = true;
        continue;
      }
      if (answer.status !== 429) return answer;
      const waitMs = retryAfterMs(answer);
      if (this.#clock() + waitMs >= deadline) return answer;
      await pause(waitMs);
    }
  }

  #sendOnce(request: Omit<JsonRequest, 'limitMs'>, access: Access, deadline: number): Promise<JsonAnswer> {
    const limitMs = Math.max(1, deadline - this.#clock());
    const headers = { ...access.headers, ...request.headers };
    return requestJson(access.endpoint, { ...request, headers, limitMs });
  }

  #accepted(answer: JsonAnswer): JsonAnswer {
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(this.description, answer);
  }

  #parsed<T>(schema: { safeParse(value: unknown): { success: boolean; data?: T } }, answer: JsonAnswer): T {
    const parsed = schema.safeParse(answer.body);
    if (parsed.success) return parsed.data as T;
    throw new StoreError('protocol', `${this.description}: unexpected answer about a Lease`);
  }
}

/** What the header says in whole seconds; it may also be a date, which would need a clock that is right. */
function retryAfterMs({ headers }: JsonAnswer): number {
  const text = headers['retry-after'] ?? '';
  return /^\d{1,5}$/.test(text) ? Math.max(Number(text) * 1000, RETRY_MS) : RETRY_MS;
}

function refusal(description: string, { status, body }: JsonAnswer): StoreError {
  const parsed = STATUS.safeParse(body);
  const reason = parsed.success && parsed.data.message !== '' ? parsed.data.message : `HTTP status ${status}`;
  const message = `${description}: ${reason}`;
  if (status === 401 || status === 403) return new StoreError('denied', message);
  if (status === 429 || status === 409) return new StoreError('unreachable', message);
  // 500, 503, 504: of an answer that its storage did not give it in time, the server knows nothing either.
  return new StoreError(status >= 500 ? 'unknown' : 'protocol', message);
}
