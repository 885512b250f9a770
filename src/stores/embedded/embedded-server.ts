/**
 * The embedded store's server: one process, one file, a unix socket (on Windows a pipe) for the agents of one machine. It
 * coordinates them as a real store does, and is lost with its machine.
 */
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { StoreError } from '../store.js';
import {
  type EmbeddedPath,
  type EmbeddedRequest,
  REQUEST_BYTES_MAX,
  REQUESTS,
  viewAnswer,
} from './embedded-protocol.js';
import { EmbeddedState } from './embedded-state.js';
import { Journal } from './journal.js';

/** What is said when it starts. */
export const EMBEDDED_NOTICE =
  'the embedded store is one process and one file: for one machine, to try out, to develop and to test; use etcd for a cluster that must survive the loss of a machine';

/** Where the server is, and by which clock it measures leases. */
export interface EmbeddedServerSettings {
  /** The unix socket. Its folder decides who may use the store: the socket itself is its owner's alone. */
  readonly socketPath: string;
  /** The file. Its folder must be there, and be this server's own while it runs (the caller holds a lock on it). */
  readonly journalPath: string;
  /** A monotonic clock. ms. */
  readonly clock: () => number;
  /** Gets {@link EMBEDDED_NOTICE}, and why the server had to stop, if it had to. */
  readonly say: (line: string) => void;
}

/** A running server. */
export class EmbeddedServer {
  readonly #settings: EmbeddedServerSettings;
  readonly #state: EmbeddedState;
  readonly #journal: Journal;
  readonly #http: Server;
  /** The request that is being done: one at a time, since each is durable before the next is looked at. */
  #last: Promise<unknown> = Promise.resolve();
  #expiry: NodeJS.Timeout | null = null;
  /** Called when the revision has grown. */
  readonly #waiters = new Set<() => void>();
  #closed = false;

  private constructor(settings: EmbeddedServerSettings, journal: Journal, state: EmbeddedState) {
    this.#settings = settings;
    this.#journal = journal;
    this.#state = state;
    this.#http = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** Reads the file and listens. Throws a StoreError if the file is damaged, or another server uses the socket. */
  static async start(settings: EmbeddedServerSettings): Promise<EmbeddedServer> {
    if (await answers(settings.socketPath)) {
      throw new StoreError('protocol', `another process serves the store at ${settings.socketPath}`);
    }
    const { journal, state } = await Journal.open(settings.journalPath);
    const server = new EmbeddedServer(settings, journal, new EmbeddedState(state, settings.clock()));
    await journal.append(server.#state.lasting());
    if (process.platform !== 'win32') await rm(settings.socketPath, { force: true });
    server.#http.listen(settings.socketPath);
    await once(server.#http, 'listening');
    if (process.platform !== 'win32') await chmod(settings.socketPath, 0o600);
    server.#scheduleExpiry();
    settings.say(EMBEDDED_NOTICE);
    return server;
  }

  /** Ends, without giving leases up. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    this.#http.close();
    this.#http.closeAllConnections();
    this.#wakeWaiters();
    await this.#last.catch(() => {});
    await this.#journal.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url as EmbeddedPath;
    const schema = Object.hasOwn(REQUESTS, path) ? REQUESTS[path] : undefined;
    const body = schema?.safeParse(await readBody(request));
    if (body === undefined || !body.success) return answer(response, 400, { error: 'no such request' });
    if (path === '/change') await this.#changed(REQUESTS[path].parse(body.data), response);
    answer(response, 200, await this.#inTurn(() => this.#do(path, body.data)));
  }

  /** One after the other, each durable before its answer. */
  #inTurn<Result>(work: () => Result): Promise<Result> {
    const turn = this.#last.then(async () => {
      if (this.#closed) throw new Error('the server is closing');
      const before = this.#state.lasting();
      this.#state.expire(this.#settings.clock());
      const result = work();
      if (this.#state.lasting() !== before) await this.#persist();
      this.#scheduleExpiry();
      return result;
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #persist(): Promise<void> {
    try {
      await this.#journal.append(this.#state.lasting());
    } catch (error) {
      // What memory says is not on the disk, and what is on the disk is not known: only a restart can tell.
      this.#settings.say(`${this.#settings.journalPath} can't be written (${error}): the store has stopped`);
      setImmediate(() => void this.close());
      throw error;
    }
    this.#wakeWaiters();
  }

  #do(path: EmbeddedPath, body: unknown): unknown {
    const now = this.#settings.clock();
    const as = <Path extends EmbeddedPath>(_: Path) => body as EmbeddedRequest<Path>;
    const state = this.#state;
    switch (path) {
      case '/view':
        return viewAnswer(state.view());
      case '/change':
        return {};
      case '/acquire':
        return {
          given: state.acquire(as(path).holder, as(path).afterTerm, as(path).leaseMs, now),
        };
      case '/renew':
        return { kept: state.renew(as(path).leader, as(path).leaseMs, now) };
      case '/release':
        state.release(as(path).leader);
        return {};
      case '/publish': {
        const { name, text, version, leader } = as(path);
        return { given: state.publish(name, text, version, leader) };
      }
      case '/register':
        state.register(as(path).name, as(path).text, as(path).memberMs, now);
        return {};
      case '/withdraw':
        state.withdraw(as(path).name);
        return {};
    }
  }

  /** Waits until there is a later revision, for so long at most, or until the client has gone. */
  #changed({ after, limitMs }: EmbeddedRequest<'/change'>, response: ServerResponse): Promise<void> {
    if (this.#state.revision !== after) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(limit);
        this.#waiters.delete(done);
        resolve();
      };
      const limit = setTimeout(done, limitMs);
      this.#waiters.add(done);
      response.once('close', done);
    });
  }

  #wakeWaiters(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  /** So that those who watch learn of a lease that has run out although nobody asks. */
  #scheduleExpiry(): void {
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    const next = this.#state.nextExpiry;
    if (next === null || this.#closed) return;
    const waitMs = Math.max(1, Math.ceil(next - this.#settings.clock()));
    this.#expiry = setTimeout(() => this.#inTurn(() => {}).catch(() => {}), waitMs);
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > REQUEST_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return null;
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Whether somebody listens there. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
