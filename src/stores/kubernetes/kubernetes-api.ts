/**
 * The few requests of the Kubernetes API that a store needs: Leases (coordination.k8s.io/v1) of one namespace, changed only
 * over the resourceVersion that was read.
 */
import type { JsonAnswer } from '../json-request.js';
import { StoreError } from '../store.js';
import { KubernetesClient } from './kubernetes-client.js';
import type { KubernetesSettings } from './kubernetes-settings.js';
import { LEASE, LEASE_LIST, type LeaseObject } from './lease-object.js';

/** Leases of one cluster. Every method rejects with a StoreError alone. */
export class KubernetesApi {
  readonly #client: KubernetesClient;
  readonly #folder: string;
  readonly #selector: string;

  /** @param selector by which labels the cluster's Leases are found */
  constructor(settings: KubernetesSettings, selector: string, requestMs: number, clock: () => number) {
    this.#client = new KubernetesClient(settings, requestMs, clock);
    this.#folder = `/apis/coordination.k8s.io/v1/namespaces/${settings.namespace}/leases`;
    this.#selector = encodeURIComponent(selector);
  }

  get description(): string {
    return this.#client.description;
  }

  /** All Leases as they are now: without a resourceVersion the answer is as new as a majority knows. */
  async list(): Promise<{ readonly resourceVersion: string; readonly items: readonly LeaseObject[] }> {
    const path = `${this.#folder}?labelSelector=${this.#selector}`;
    const { items, metadata } = this.#parsed(LEASE_LIST, await this.#client.ask({ method: 'GET', path }));
    return { resourceVersion: metadata.resourceVersion, items };
  }

  /** Null: there is none. Within `limitMs`, or the time of one request. */
  async get(name: string, limitMs?: number): Promise<LeaseObject | null> {
    const answer = await this.#client.send({ method: 'GET', path: this.#path(name) }, limitMs);
    return answer.status === 404 ? null : this.#parsed(LEASE, this.#client.accepted(answer));
  }

  /** Null: one with this name is there already. */
  async create(lease: object): Promise<LeaseObject | null> {
    const answer = await this.#client.send({ method: 'POST', path: this.#folder, body: lease });
    return answer.status === 409 ? null : this.#parsed(LEASE, this.#client.accepted(answer));
  }

  /** Replaces it if it still has the resourceVersion that `lease` names. Null: it has not, or it is gone. */
  async replace(lease: LeaseObject, limitMs?: number): Promise<LeaseObject | null> {
    const path = this.#path(lease.metadata.name);
    const answer = await this.#client.send({ method: 'PUT', path, body: lease }, limitMs);
    if (answer.status === 409 || answer.status === 404) return null;
    return this.#parsed(LEASE, this.#client.accepted(answer));
  }

  /** Changes fields of it, whatever it is now. Null: it is not there. */
  async merge(name: string, change: object): Promise<LeaseObject | null> {
    const headers = { 'content-type': 'application/merge-patch+json' };
    const answer = await this.#client.send({
      method: 'PATCH',
      path: this.#path(name),
      body: change,
      headers,
    });
    return answer.status === 404 ? null : this.#parsed(LEASE, this.#client.accepted(answer));
  }

  /** Removes it, if it still is the very one, and has this resourceVersion; null: whatever it is. */
  async remove(name: string, seen: LeaseObject | null): Promise<void> {
    const preconditions =
      seen === null ? undefined : { uid: seen.metadata.uid, resourceVersion: seen.metadata.resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    const answer = await this.#client.send({ method: 'DELETE', path: this.#path(name), body });
    if (answer.status !== 404 && answer.status !== 409) this.#client.accepted(answer);
  }

  /** Hands on what has happened since; ends when `onEvent` says so, when the server ends it, or by the signal. */
  async watch(
    resourceVersion: string,
    onEvent: (event: unknown) => boolean,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(resourceVersion)}`;
    const timeout = `timeoutSeconds=${Math.ceil(limitMs / 1000)}`;
    const path = `${this.#folder}?labelSelector=${this.#selector}&${query}&${timeout}`;
    await this.#client.follow(path, onEvent, limitMs, signal);
  }

  close(): void {
    this.#client.close();
  }

  #path(name: string): string {
    return `${this.#folder}/${encodeURIComponent(name)}`;
  }

  #parsed<T>(schema: { safeParse(value: unknown): { success: boolean; data?: T } }, answer: JsonAnswer): T {
    const parsed = schema.safeParse(answer.body);
    if (parsed.success) return parsed.data as T;
    throw new StoreError('protocol', `${this.description}: unexpected answer about a Lease`);
  }
}
