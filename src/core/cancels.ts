/**
 * Cancel requests: whom a key belongs to, and the way there. To one pool's servers, and to one other process, no more
 * than its size go at a time; the others wait in their order.
 */
import { buildCancelRequest } from '../wire/startup.js';
import { type AskedKey, CancelKeys, readCancelKey, withOneHopLess } from './cancel-keys.js';
import {
  type CancelOrder,
  CancelRequest,
  type CancelRequestOwner,
  NO_LONGER_RUNNING,
  TIMED_OUT,
} from './cancel-request.js';
import type { GatewayContext } from './context.js';
import type { Database } from './databases.js';
import { CANCELS_IN_FLIGHT_MAX } from './limits.js';
import type { Pool } from './pool/pool.js';
import type { Cluster } from './route/cluster.js';
import { CommitQuestions } from './route/commit-questions.js';
import type { ServerConnection } from './server/server-connection.js';
import type { Session } from './session/session.js';
import type { PeerSettings } from './settings.js';
import type { PeerSnapshot } from './snapshot.js';

/** What is asked of the gateway. */
export interface CancelsOwner {
  readonly sessions: ReadonlySet<Session>;
  readonly clusters: { find(database: Database): Pick<Cluster, 'askPrimary'> | undefined };
  /** A connection that carries a request is being opened. */
  cancelOpened(request: CancelRequest): void;
}

/** A request that waits for its turn. */
interface Waiting {
  readonly order: CancelOrder;
  readonly askedAt: number;
}

/** The way to one pool's servers, or to one other process. */
interface Way {
  readonly active: Set<CancelRequest>;
  readonly waiting: Waiting[];
}

export interface CancelFigures {
  /** Requests of clients that are on their way, and that wait for it. */
  readonly active: number;
  readonly waiting: number;
}

export class Cancels implements CancelRequestOwner {
  readonly keys: CancelKeys;
  private readonly context: GatewayContext;
  private readonly owner: CancelsOwner;
  /** By the pool, or the number of the other process. */
  private readonly ways = new Map<Pool | number, Way>();
  private inFlight = 0;
  private readonly commits: CommitQuestions;

  constructor(context: GatewayContext, owner: CancelsOwner) {
    this.context = context;
    this.owner = owner;
    this.commits = new CommitQuestions(context);
    this.keys = new CancelKeys((length) => context.io.randomBytes(length));
  }

  /**
   * A CancelRequest has come. As in PostgreSQL, whoever sent it is told nothing, also not whether the key was right; its
   * connection is closed when the request has been carried out, or can't be.
   */
  requested(asker: Session, processId: number, secret: Uint8Array): void {
    this.context.counters.cancelRequests += 1;
    asker.asksCancel = true;
    const asked = readCancelKey(processId, secret);
    if (asked === null) return asker.close(NOT_FOUND);
    const { peerId } = this.context.settings;
    if (peerId > 0 && asked.peerId !== peerId) return this.passOn(asker, asked);
    const client = this.clientWith(asked);
    if (client === null) return asker.close(NOT_FOUND);
    if (client.routing?.pipelined?.cancel() === true) return asker.close(CANCELLED_HERE);
    const server = client.runsOn;
    if (client.console !== null) return asker.close('cancel request for console client');
    if (server === null || !server.isBusy) return asker.close('cancel request for idle client');
    if (server.exchange.runsOwnQuery) return asker.close(OWN_QUERY);
    const pool = client.pool as Pool;
    const order: CancelOrder = {
      ...wayTo(server),
      packet: () => {
        const isWanted = client.runsOn === server && server.isBusy && !server.exchange.runsOwnQuery;
        return isWanted ? buildCancelRequest(server.processId, server.secret) : null;
      },
      finished: (reason) => asker.close(reason),
    };
    const goOn = () => this.ask(pool, pool.limits.size, order);
    // A commit that waits for standbys has been made: to end that would call something a success that may be lost.
    if (server.lossFacts.mayHaveCommitted(server.exchange)) {
      this.commits.ask(this.owner.clusters.find(pool.database), server.processId, (isWaiting) =>
        isWaiting ? order.finished(WAITS_FOR_STANDBYS) : goOn(),
      );
    } else goOn();
  }

  /** Cancels what runs for a client that is gone; false when too many requests are under way. */
  abandoned(pool: Pool, server: ServerConnection): boolean {
    if (this.inFlight >= CANCELS_IN_FLIGHT_MAX) return false;
    this.begin(pool, {
      ...wayTo(server),
      packet: () =>
        server.phase === 'ready' && server.isBusy
          ? buildCancelRequest(server.processId, server.secret)
          : null,
      finished: () => {},
    });
    return true;
  }

  private passOn(asker: Session, asked: AskedKey): void {
    const peer = this.context.settings.peers.get(asked.peerId);
    if (peer === undefined) return asker.close('could not find peer to forward request to');
    if (asked.hops === 0) {
      return asker.close('failed to forward cancel request because its TTL was exhausted');
    }
    const packet = buildCancelRequest(asked.processId, withOneHopLess(asked));
    this.ask(peer.id, this.sizeOf(peer), {
      server: null,
      address: peer.address,
      tlsMode: 'disable',
      packet: () => packet,
      finished: (reason) => asker.close(reason),
    });
  }

  private sizeOf(peer: PeerSettings): number {
    return peer.poolSize ?? this.context.settings.defaultPoolSize;
  }

  /** The client that has been given this key. */
  private clientWith(asked: AskedKey): Session | null {
    if (!this.keys.isGenuine(asked)) return null;
    for (const session of this.owner.sessions) {
      const { cancelKey } = session;
      if (cancelKey !== null && this.keys.matches(cancelKey, asked)) return session;
    }
    return null;
  }

  private ask(to: Pool | number, limit: number, order: CancelOrder): void {
    const way = this.wayOf(to);
    const isFree = way.active.size < limit && this.inFlight < CANCELS_IN_FLIGHT_MAX;
    if (isFree && way.waiting.length === 0) this.begin(to, order);
    else if (way.waiting.length >= CANCELS_IN_FLIGHT_MAX) order.finished('too many cancel requests');
    else way.waiting.push({ order, askedAt: this.context.io.now() });
  }

  private wayOf(to: Pool | number): Way {
    const known = this.ways.get(to);
    if (known !== undefined) return known;
    const way: Way = { active: new Set(), waiting: [] };
    this.ways.set(to, way);
    return way;
  }

  private begin(to: Pool | number, order: CancelOrder): void {
    const request = new CancelRequest(this.context, this, order);
    this.inFlight += 1;
    this.wayOf(to).active.add(request);
    this.owner.cancelOpened(request);
  }

  requestEnded(request: CancelRequest): void {
    this.inFlight -= 1;
    for (const [to, way] of this.ways) {
      if (!way.active.delete(request)) continue;
      this.next(to, way);
      break;
    }
  }

  /** The way has room for one more. */
  private next(to: Pool | number, way: Way): void {
    for (;;) {
      const waiting = way.waiting.shift();
      if (waiting === undefined) break;
      // The query may have ended meanwhile, and its server connection serve somebody else or rest.
      if (waiting.order.packet() !== null) return this.begin(to, waiting.order);
      waiting.order.finished(NO_LONGER_RUNNING);
    }
    if (way.active.size === 0) this.ways.delete(to);
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    const timeout = this.context.settings.cancelWaitTimeoutMs;
    let next = this.commits.advance(now);
    for (const [to, way] of this.ways) {
      for (const request of [...way.active]) next = Math.min(next, request.advance(now));
      while (timeout > 0 && way.waiting.length > 0) {
        const due = way.waiting[0]!.askedAt + timeout;
        if (now < due) {
          next = Math.min(next, due);
          break;
        }
        way.waiting.shift()!.order.finished(TIMED_OUT);
      }
      if (way.active.size === 0 && way.waiting.length === 0) this.ways.delete(to);
    }
    return next;
  }

  figures(to: Pool | number): CancelFigures {
    const way = this.ways.get(to);
    return { active: way?.active.size ?? 0, waiting: way?.waiting.length ?? 0 };
  }

  /** One for each process that is configured. */
  peers(): PeerSnapshot[] {
    return [...this.context.settings.peers.keys()].map((id) => {
      const requests = [...(this.ways.get(id)?.active ?? [])];
      const connecting = requests.filter((request) => request.isConnecting).length;
      return {
        id,
        clActiveCancelReq: requests.length - connecting,
        clWaitingCancelReq: connecting + (this.ways.get(id)?.waiting.length ?? 0),
        svActiveCancel: requests.length - connecting,
        svLogin: connecting,
      };
    });
  }
}

/** As well encrypted as the session: the key must not be seen by others. */
function wayTo(server: ServerConnection): Pick<CancelOrder, 'server' | 'address' | 'tlsMode'> {
  const { mode, facts } = server.encryption;
  return { server, address: server.address, tlsMode: facts === null ? 'disable' : mode };
}

const NOT_FOUND = 'failed cancel request';
const WAITS_FOR_STANDBYS = 'not sending cancel request for a commit that waits for synchronous standbys';
const CANCELLED_HERE = 'cancelled a read that was sent together with others';
const OWN_QUERY = 'ignoring cancel request for server that is setting vars';
