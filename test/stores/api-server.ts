/** A double of the Kubernetes API server: Leases of one namespace, and what else a test asks for, with what goes wrong in front of one. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { text } from 'node:stream/consumers';
import { freePort } from '../harness/scratch.js';
import { type ApiAnswer, type ApiEvent, type ApiObject, ApiObjects, matches } from './api-objects.js';

/** The folder of the Leases. */
export const LEASES = '/apis/coordination.k8s.io/v1/namespaces/test/leases';
/** The folder of the pods. */
export const PODS = '/api/v1/namespaces/test/pods';
const BOOKMARK_MS = 100;

/** What becomes of a request that changes something. */
export type ApiFault =
  /** It is not done, and there is no answer. */
  | 'drop'
  /** It is done, and there is no answer. */
  | 'lose'
  /** It is done twice, as by a proxy that tries again; the answer is the second one's. */
  | 'repeat'
  /** It is not done: too many requests; at once again. */
  | 'turn away'
  /** It is done, but the server doesn't know it. */
  | 'doubt'
  /** It is done later, long after whoever asked has given up. */
  | 'late';

type ServerTls = { readonly cert: string; readonly key: string } | null;

interface Watcher {
  readonly folder: string;
  readonly selector: string | null;
  readonly response: ServerResponse;
}

/** One API server, over the objects of its etcd, which survive it. */
export class ApiServer {
  readonly port: number;
  /** The Leases. */
  readonly objects: ApiObjects;
  /** Who may come in; null: everybody. */
  tokens: Set<string> | null = null;
  /** Tokens that may look and register, but not change the Lease of this name. */
  readonly lookers = new Map<string, string>();
  /** For the next requests that change something, in their order. */
  readonly faults: ApiFault[] = [];
  /** What was asked: method (or WATCH) and path. */
  readonly asked: string[] = [];
  readonly #folders = new Map<string, ApiObjects>();
  readonly #watchers = new Set<Watcher>();
  readonly #tls: ServerTls;
  #server: Server | null = null;
  #bookmarks: NodeJS.Timeout | null = null;

  private constructor(port: number, tls: ServerTls) {
    this.port = port;
    this.#tls = tls;
    this.objects = this.folder(LEASES);
  }

  static async start(tls: ServerTls = null): Promise<ApiServer> {
    const server = new ApiServer(await freePort(), tls);
    await server.#listen();
    return server;
  }

  get url(): string {
    return `${this.#tls === null ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  /** The objects of one kind, which are there from now on. */
  folder(path: string): ApiObjects {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const objects = new ApiObjects();
    objects.onEvent = (event) => this.#tell(path, event);
    this.#folders.set(path, objects);
    return objects;
  }

  /** Every connection ends, and so does what the server remembers of the past. */
  async restart(): Promise<void> {
    await this.stop();
    for (const objects of this.#folders.values()) objects.compact();
    await this.#listen();
  }

  async stop(): Promise<void> {
    clearInterval(this.#bookmarks ?? undefined);
    const closed = once(this.#server as Server, 'close');
    this.#server?.close();
    this.#server?.closeAllConnections();
    await closed;
  }

  async #listen(): Promise<void> {
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch(() => response.destroy());
    };
    this.#server = this.#tls === null ? createServer(answer) : createSecureServer(this.#tls, answer);
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#bookmarks = setInterval(() => this.#bookmark(), BOOKMARK_MS);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const url = new URL(request.url ?? '', this.url);
    const { method = 'GET' } = request;
    const isWatch = url.searchParams.get('watch') === 'true';
    this.asked.push(`${isWatch ? 'WATCH' : method} ${url.pathname}`);
    const refused = this.#refusal(request, url);
    if (refused !== null) return send(response, refused);
    const [folder, objects] = this.#folderOf(url) ?? [];
    if (folder === undefined || objects === undefined)
      return send(response, failure(404, 'the server could not find the requested resource'));
    if (method !== 'GET') objects.passTime();
    if (isWatch) return this.#watch(folder, objects, url, response);
    const name = decodeURIComponent(url.pathname.slice(folder.length + 1));
    const work = () => workOn(objects, method, name, url, body === '' ? {} : JSON.parse(body));
    const fault = method === 'GET' ? undefined : this.faults.shift();
    if (fault === 'drop' || fault === 'lose' || fault === 'late') {
      if (fault === 'lose') work();
      if (fault === 'late') setTimeout(work, 300);
      response.destroy();
    } else if (fault === 'turn away') {
      response.writeHead(429, { 'retry-after': '0', 'content-type': 'text/plain' });
      response.end('Too many requests, please try again later.');
    } else {
      const first = work();
      const answer = fault === 'repeat' ? work() : first;
      send(response, fault === 'doubt' ? failure(500, 'etcdserver: request timed out') : answer);
    }
  }

  #refusal({ method, headers }: IncomingMessage, url: URL): ApiAnswer | null {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    if (this.tokens !== null && !this.tokens.has(token)) return failure(401, 'Unauthorized');
    const isFor = url.pathname === `${LEASES}/${this.lookers.get(token)}`;
    if (isFor && method !== 'GET') return failure(403, 'leases.coordination.k8s.io is forbidden');
    return null;
  }

  #folderOf({ pathname }: URL): [string, ApiObjects] | undefined {
    return [...this.#folders].find(([path]) => pathname === path || pathname.startsWith(`${path}/`));
  }

  #watch(folder: string, objects: ApiObjects, url: URL, response: ServerResponse): void {
    const selector = url.searchParams.get('labelSelector');
    const missed = objects.eventsSince(Number(url.searchParams.get('resourceVersion')), selector);
    // Kubernetes says it in either way, depending on what answers: its storage, or the cache in front.
    if (missed === null && objects.revision % 2 === 0) return send(response, failure(410, 'Expired'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (missed === null) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: failure(410, 'Expired').body })}\n`);
      return;
    }
    for (const event of missed) response.write(line(event));
    const watcher = { folder, selector, response };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
    const seconds = Number(url.searchParams.get('timeoutSeconds') ?? 1800);
    setTimeout(() => response.end(), seconds * 1000).unref();
  }

  #tell(path: string, event: ApiEvent): void {
    for (const { folder, selector, response } of this.#watchers) {
      if (folder === path && matches(event.object, selector)) response.write(line(event));
    }
  }

  #bookmark(): void {
    for (const { folder, response } of this.#watchers) {
      const metadata = { resourceVersion: `${this.folder(folder).revision}`, creationTimestamp: null };
      const bookmark = { type: 'BOOKMARK', object: { metadata, spec: {} } };
      response.write(`${JSON.stringify(bookmark)}\n`);
    }
  }
}

function workOn(objects: ApiObjects, method: string, name: string, url: URL, body: object): ApiAnswer {
  if (name === '' && method === 'GET') return objects.list(url.searchParams.get('labelSelector'));
  if (name === '' && method === 'POST') return objects.create(body as ApiObject);
  if (method === 'GET') return objects.get(name);
  if (method === 'PUT') return objects.replace(name, body as ApiObject);
  if (method === 'PATCH') return objects.merge(name, body);
  if (method !== 'DELETE') return failure(405, 'MethodNotAllowed');
  return objects.remove(name, (body as { preconditions?: object }).preconditions);
}

function line({ type, object }: ApiEvent): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function send(response: ServerResponse, { status, body }: ApiAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function failure(code: number, message: string): ApiAnswer {
  return { status: code, body: { kind: 'Status', status: 'Failure', code, message } };
}
