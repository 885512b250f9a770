/**
 * As whom the Kubernetes API is asked, and whom we believe to be it. Kubernetes replaces a pod's token about every hour, and the
 * authority's file when the authority changes: both are read again while the program runs.
 */
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Endpoint } from '../json-request.js';
import { StoreError } from '../store.js';
import type { KubernetesPlace } from './kubernetes-settings.js';

/** So long what was read is used. ms; tokens are replaced long before they run out. */
const REREAD_MS = 10_000;

/** What a request needs. */
export interface Access {
  readonly endpoint: Endpoint;
  readonly headers: Record<string, string>;
}

/** The credentials of a pod, or of whoever is configured. */
export class ServiceAccount {
  readonly description: string;
  readonly #settings: KubernetesPlace;
  readonly #clock: () => number;
  #read: { readonly access: Promise<Access>; readonly at: number } | null = null;
  #ca: string | null = null;
  #endpoint: Endpoint | null = null;

  constructor(settings: KubernetesPlace, clock: () => number) {
    this.description = `Kubernetes API at ${new URL(settings.server).host}`;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** As it was in the files a moment ago. Rejects with a StoreError if they can't be read: nothing was sent then. */
  access(): Promise<Access> {
    const now = this.#clock();
    if (this.#read === null || now - this.#read.at >= REREAD_MS) {
      this.#read = { access: this.#readFiles(), at: now };
      this.#read.access.catch(() => this.refused());
    }
    return this.#read.access;
  }

  /** The token was refused: the next request reads the files again. */
  refused(): void {
    this.#read = null;
  }

  close(): void {
    this.#endpoint?.agent.destroy();
  }

  async #readFiles(): Promise<Access> {
    const { tokenFile, caFile } = this.#settings;
    const token = await this.#text(tokenFile);
    const ca = await this.#text(caFile);
    if (this.#endpoint === null || ca !== this.#ca) {
      // Connections that are in use go on; new ones ask for the new authority.
      this.#endpoint = this.#endpointFor(ca);
      this.#ca = ca;
    }
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token.trim()}` };
    return { endpoint: this.#endpoint, headers };
  }

  async #text(path: string | null): Promise<string | null> {
    if (path === null) return null;
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'error';
      throw new StoreError('unreachable', `${this.description}: ${path} can't be read (${code})`);
    }
  }

  #endpointFor(ca: string | null): Endpoint {
    const url = new URL(this.#settings.server);
    const secure = url.protocol === 'https:';
    const agent = secure
      ? new HttpsAgent({ keepAlive: true, ...(ca !== null && { ca }) })
      : new HttpAgent({ keepAlive: true });
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || (secure ? 443 : 80));
    return { description: this.description, secure, options: { host, port }, agent };
  }
}
