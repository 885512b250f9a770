/**
 * Requests of the Kubernetes API as a service account: with a token that is read again, sent again only where the server says
 * that it has done nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type JsonAnswer, type JsonRequest, requestJson } from '../json-request.js';
import { StoreError } from '../store.js';
import type { KubernetesPlace } from './kubernetes-settings.js';
import { STATUS } from './lease-object.js';
import { type Access, ServiceAccount } from './service-account.js';

/** How long a request that was turned away waits before it is sent again, if the answer doesn't say it. ms. */
const RETRY_MS = 200;

/** A request; its time is the client's. */
export type KubernetesRequest = Omit<JsonRequest, 'limitMs' | 'signal' | 'onLine'>;

/** One API server. Every method rejects with a StoreError alone. */
export class KubernetesClient {
  readonly #account: ServiceAccount;
  readonly #requestMs: number;
  readonly #clock: () => number;

  /** @param requestMs how long a request may take, with all that is sent again */
  constructor(place: KubernetesPlace, requestMs: number, clock: () => number) {
    this.#account = new ServiceAccount(place, clock);
    this.#requestMs = requestMs;
    this.#clock = clock;
  }

  get description(): string {
    return this.#account.description;
  }

  /** The answer, if it isn't a refusal. */
  async ask(request: KubernetesRequest): Promise<JsonAnswer> {
    return this.accepted(await this.send(request));
  }

  /** Reads an answer without end; returns when `onLine` has seen enough, when the server ends it, or by the signal. */
  async follow(
    path: string,
    onLine: (line: unknown) => boolean,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { endpoint, headers } = await this.#account.access();
    const answer = await requestJson(endpoint, { method: 'GET', path, headers, limitMs, signal, onLine });
    if (answer.status === 401) this.#account.refused();
    // What came after that version is forgotten already: whoever waits reads everything again.
    if (answer.status !== 410) this.accepted(answer);
  }

  close(): void {
    this.#account.close();
  }

  /**
   * Sends it again only where the server says that it has done nothing: a token that has run out (401), too many requests
   * (429). All of it within the time of one request, or `limitMs`.
   */
  async send(request: KubernetesRequest, limitMs = this.#requestMs): Promise<JsonAnswer> {
    const deadline = this.#clock() + limitMs;
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

  /** The same answer; throws what a refusal means. */
  accepted(answer: JsonAnswer): JsonAnswer {
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(this.description, answer);
  }

  #sendOnce(request: KubernetesRequest, access: Access, deadline: number): Promise<JsonAnswer> {
    const limitMs = Math.max(1, deadline - this.#clock());
    const headers = { ...access.headers, ...request.headers };
    return requestJson(access.endpoint, { ...request, headers, limitMs });
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
