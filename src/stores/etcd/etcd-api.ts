/**
 * Requests to an etcd cluster by its HTTP JSON gateway: which member is asked, for how long, and as whom. A request that
 * changes something goes to another member only if the first can't have seen it.
 */
import type { z } from 'zod';
import { type Endpoint, type JsonAnswer, requestJson } from '../json-request.js';
import { StoreError } from '../store.js';
import { ANY_ANSWER, AUTHENTICATE_ANSWER, ERROR_ANSWER, GRPC } from './etcd-answers.js';
import { type EtcdSettings, etcdEndpoints } from './etcd-endpoints.js';

/** A request, and whether it may be asked twice. */
export interface EtcdRequest<Answer> {
  readonly path: string;
  readonly body: unknown;
  readonly schema: z.ZodType<Answer>;
  /** True: it changes nothing, so that another member may be asked when one is silent. */
  readonly isRead: boolean;
}

/** Messages of etcd that mean: log in again. The token was lost in a restart, has run out, or users were changed. */
const STALE_TOKEN =
  /invalid auth token|auth revision|revision in auth store|token is not provided|user name is empty/i;
/** etcd could not ask its majority: nothing is known of a change. */
const NO_MAJORITY = /timed out|no leader|leader changed|too many requests|stopped|unavailable/i;

/** The members of one cluster. */
export class EtcdApi {
  readonly description: string;
  readonly #endpoints: readonly Endpoint[];
  readonly #settings: EtcdSettings;
  readonly #requestMs: number;
  /** The member that has answered last. */
  #current = 0;
  #token: Promise<string> | null = null;

  constructor(settings: EtcdSettings, requestMs: number) {
    this.#endpoints = etcdEndpoints(settings);
    this.#settings = settings;
    this.#requestMs = requestMs;
    this.description = `${this.#endpoints.map(({ description }) => description).join(', ')} (${settings.prefix})`;
  }

  /** Asks the member that has answered last, and the others in turn where that is safe. */
  async ask<Answer>(request: EtcdRequest<Answer>): Promise<Answer> {
    let failure: StoreError | null = null;
    for (let attempt = 0; attempt < this.#endpoints.length; attempt++) {
      const index = this.#current;
      try {
        return await this.askMember(index, request);
      } catch (error) {
        failure = error as StoreError;
        const mayTryAnother =
          failure.kind === 'unreachable' || (failure.kind === 'unknown' && request.isRead);
        if (failure.kind !== 'denied') this.avoid(index);
        if (!mayTryAnother) throw failure;
      }
    }
    throw failure;
  }

  /** The member that is asked first at present. For requests that must meet the same one. */
  get member(): number {
    return this.#current;
  }

  get memberCount(): number {
    return this.#endpoints.length;
  }

  /** Lets the next request begin with another member than this one, which has just failed. */
  avoid(member: number): void {
    if (this.#current === member) this.#current = (member + 1) % this.#endpoints.length;
  }

  /** Asks this member and no other. */
  async askMember<Answer>(
    member: number,
    request: EtcdRequest<Answer>,
    limitMs = this.#requestMs,
  ): Promise<Answer> {
    const endpoint = this.#endpoints[member] as Endpoint;
    for (let attempt = 0; ; attempt++) {
      const token = await this.#tokenFrom(endpoint);
      const answer = await requestJson(endpoint, {
        path: request.path,
        body: request.body,
        limitMs,
        ...(token !== null && { headers: { authorization: token } }),
      });
      if (answer.status === 200) return this.#checked(endpoint, request, answer);
      if (attempt === 0 && token !== null && STALE_TOKEN.test(messageOf(answer))) {
        // Refused before anything was done: it may be asked again.
        this.#token = null;
        continue;
      }
      throw refusal(endpoint, answer);
    }
  }

  /** Reads lines until one satisfies `onLine`, or the signal says that it is enough. */
  async stream(
    path: string,
    body: unknown,
    onLine: (line: unknown) => boolean,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const endpoint = this.#endpoints[this.#current] as Endpoint;
    const token = await this.#tokenFrom(endpoint);
    const headers = token === null ? {} : { authorization: token };
    const answer = await requestJson(endpoint, { path, body, headers, onLine, limitMs, signal });
    if (answer.status === 200) return;
    if (STALE_TOKEN.test(messageOf(answer))) this.#token = null;
    throw refusal(endpoint, answer);
  }

  close(): void {
    for (const { agent } of this.#endpoints) agent.destroy();
  }

  #checked<Answer>(endpoint: Endpoint, request: EtcdRequest<Answer>, answer: JsonAnswer): Answer {
    const parsed = request.schema.safeParse(answer.body);
    if (parsed.success) return parsed.data;
    throw new StoreError('protocol', `${endpoint.description}: unexpected answer to ${request.path}`);
  }

  /** One login serves all requests that come meanwhile. Null: no user is configured. */
  async #tokenFrom(endpoint: Endpoint): Promise<string | null> {
    const { user, password } = this.#settings;
    if (user === undefined) return null;
    const token = this.#token ?? this.#logIn(endpoint, user, password ?? '');
    this.#token = token;
    try {
      return await token;
    } catch (error) {
      if (this.#token === token) this.#token = null;
      // The request itself was not sent, whatever became of the login.
      const { kind, message } = error as StoreError;
      throw new StoreError(kind === 'unknown' ? 'unreachable' : kind, message);
    }
  }

  async #logIn(endpoint: Endpoint, name: string, password: string): Promise<string> {
    const path = '/v3/auth/authenticate';
    const answer = await requestJson(endpoint, { path, body: { name, password }, limitMs: this.#requestMs });
    if (answer.status === 200) {
      const parsed = AUTHENTICATE_ANSWER.safeParse(answer.body);
      if (parsed.success) return parsed.data.token;
    }
    const { kind, message } = refusal(endpoint, answer);
    throw new StoreError(kind === 'protocol' ? 'denied' : kind, `login of ${name}: ${message}`);
  }
}

function messageOf({ body }: JsonAnswer): string {
  const parsed = ERROR_ANSWER.safeParse(body);
  return parsed.success ? (parsed.data.message ?? parsed.data.error ?? '') : '';
}

function refusal(endpoint: Endpoint, answer: JsonAnswer): StoreError {
  const parsed = ERROR_ANSWER.safeParse(answer.body);
  const code = parsed.success ? parsed.data.code : 0;
  const message = messageOf(answer) || `HTTP status ${answer.status}`;
  const text = `${endpoint.description}: ${message}`;
  if (code === GRPC.notFound) return new StoreNotFound(text);
  if (
    code === GRPC.permissionDenied ||
    code === GRPC.unauthenticated ||
    /authentication failed|permission denied|user name is empty/i.test(message)
  ) {
    return new StoreError('denied', text);
  }
  if (answer.status >= 500 || NO_MAJORITY.test(message)) return new StoreError('unknown', text);
  return new StoreError('protocol', text);
}

/** etcd doesn't know the lease that a request speaks of. Nothing was changed. */
export class StoreNotFound extends StoreError {
  constructor(message: string) {
    super('protocol', message);
    this.name = 'StoreNotFound';
  }
}

/** A request to end a lease, with what hangs on it. */
export function revokeRequest(lease: string): EtcdRequest<unknown> {
  return { path: '/v3/lease/revoke', body: { ID: lease }, schema: ANY_ANSWER, isRead: false };
}
