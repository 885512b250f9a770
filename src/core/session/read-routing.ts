/**
 * Where what a client sends goes, for a database with standbys: reads to one of these, everything else to the primary. Asked
 * at the beginning of each unit (routed-unit.ts) while the client has no server connection.
 *
 * On a standby a client has one unit at a time: the next one waits for its end, since it may have to go elsewhere. As long
 * as nothing of its answer has reached the client, a unit that fails on a standby is repeated on the primary. A transaction
 * that runs on a standby consists of reads that leave nothing behind, each of which sees the newest state: so it can go on on
 * the primary with any of its statements, and does for all that is not such a read. One that keeps its snapshot can do so until
 * it has one; from then on all that it sends is its standby's.
 *
 * A read that is sent early is one whose answer is not looked at until it is let go: it may be taken back, and asks again then.
 */
import * as Backend from '../../wire/backend.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { BLOCK, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { SqlState } from '../../wire/sqlstate.js';
import { UNFIT } from '../close-reasons.js';
import type { Reader } from '../route/reader-list.js';
import type { RouteNode } from '../route/route-node.js';
import type { Exchange } from '../server/exchange.js';
import type { ServerConnection } from '../server/server-connection.js';
import { deferredBegin } from './deferred-begin.js';
import { PASS, PASS_HARMLESS } from './message-handler.js';
import { ReadState as State } from './read-state.js';
import { explainRoute } from './route-notice.js';
import type { RoutedClient } from './routed-client.js';
import { BEGINS_BATCH, isIncomplete, TOO_LONG } from './routed-unit.js';
import { SentUnit } from './sent-unit.js';
import { StandbyRead } from './standby-read.js';
import { isForPrimary, isItsOwn } from './standby-refusals.js';
import type { TransactionStart } from './unit-judge.js';

/** Goes where the session sends it. */
type Passing = typeof PASS | typeof PASS_HARMLESS;

const NO_STANDBY = 'no standby could serve it';

export class ReadRouting<Client extends RoutedClient> extends StandbyRead<Client> implements Reader {
  nextReader: Reader | null = null;
  previousReader: Reader | null = null;
  waitsSince = 0;
  neededPosition = 0;
  early: RouteNode | null = null;
  seesAtLeast = 0;
  /** The running unit. */
  readonly unit = new SentUnit();
  /** The unit ends in front of another one that has come. */
  hasNext = false;
  /** It is part of a transaction that began there. */
  private inTransaction = false;
  /** Which one; null: none. */
  private transaction: TransactionStart | null = null;
  /** The transaction has a snapshot that no other node can be given. */
  private hasSnapshot = false;
  /** The next read of its transaction has been found to see enough there. */
  private mayReadOn = false;

  // --- Messages -----------------------------------------------------------------------------------------------

  /** Judges the message at `position`; {@link PASS}: it goes where the session sends it. */
  judge(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict | Passing {
    if (type === Frontend.Terminate) return PASS;
    switch (this.state) {
      case State.RUNNING:
        return this.goOn(type, total, bytes, position, end);
      case State.ROUTED:
        return this.begin(type, bytes, position);
      case State.ASKING:
      case State.ASKING_AGAIN:
      case State.PIPELINED:
        return BLOCK;
      case State.MOVING:
        return this.beginOnPrimary();
      default:
        if (this.client.link === null && this.state === State.FREE) {
          return this.decide(type, total, bytes, position, end);
        }
        if (this.client.link !== null) this.state = State.FREE;
        return PASS;
    }
  }

  private decide(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict | Passing {
    const { judgement } = this;
    const isQuery = type === Frontend.Query;
    if (!(isQuery || BEGINS_BATCH.has(type))) return PASS;
    if (!judgement.mayRead) return this.toPrimary();
    if (isQuery && isIncomplete(total, position, end)) return WHOLE;
    const unitEnd = judgement.read(type, total, bytes, position, end, false);
    if (unitEnd === TOO_LONG) this.context.counters.longUnits += 1;
    if (unitEnd < 0) {
      const verdict = this.toPrimary();
      const isBegin = isQuery && judgement.shape?.kind === 'begin';
      return isBegin && this.defersBegin(bytes, position + HEADER_BYTES, position + total - 1)
        ? SWALLOW
        : verdict;
    }
    this.unitBytes = unitEnd - position;
    this.shape = judgement.shape;
    if (isQuery) judgement.lookForEffects(bytes, position + HEADER_BYTES, unitEnd - 1);
    const { consistency } = judgement;
    const isSettled = consistency === 'session' && !this.hasMoved && this.preferred !== null;
    if (consistency === 'strong' || (consistency === 'session' && !isSettled)) {
      return this.beginEarly(type, bytes, position);
    }
    if (consistency === 'primary') return this.unitToPrimary(type);
    const node = this.routes.nodes.pick(consistency, this.neededPosition, isSettled ? this.preferred : null);
    if (node === null && isSettled) return this.ask();
    judgement.reason = node === null ? NO_STANDBY : judgement.reason;
    if (node === null) return this.unitToPrimary(type);
    this.node = node;
    this.state = State.ROUTED;
    return this.begin(type, bytes, position);
  }

  /** True: the BEGIN `bytes[start, end)` has been answered, and the primary is told with what comes next. */
  private defersBegin(bytes: Uint8Array, start: number, end: number): boolean {
    const { client, context } = this;
    const isOff = !context.settings.deferBegin || context.farewell !== null || this.judgement.explains;
    const begin = isOff ? null : deferredBegin(bytes, start, end);
    if (begin === null) return false;
    client.statements?.queryComes();
    client.send(begin.answer);
    client.idleSince = context.io.now();
    context.counters.beginsDeferred += 1;
    this.transaction = begin;
    this.state = State.MOVING;
    return true;
  }

  /** Its answer is held until it is known to see enough, if that is likely; else it waits to be sent. */
  private beginEarly(type: number, bytes: Uint8Array, position: number): Verdict | Passing {
    if (this.routes.nodes.keepsBack()) {
      this.judgement.reason = NO_STANDBY;
      return this.unitToPrimary(type);
    }
    const { mayRunTwice, explains } = this.judgement;
    const node = mayRunTwice && !explains ? this.routes.nodes.early() : null;
    if (node === null) return this.ask();
    this.node = node;
    this.early = node;
    this.seesAtLeast = node.replayed;
    this.state = State.ROUTED;
    this.routes.nodes.awaitPosition(this);
    return this.begin(type, bytes, position);
  }

  private ask(state: typeof State.ASKING | typeof State.ASKING_AGAIN = State.ASKING): Verdict {
    this.state = state;
    // While it asks it is not idle.
    this.client.idleSince = this.context.io.now();
    this.routes.nodes.awaitPosition(this);
    return BLOCK;
  }

  routed(node: RouteNode | null): void {
    if (this.state === State.ASKING_AGAIN) return this.routedAgain(node);
    this.node = node;
    if (node !== null && this.travelsTo(node, this.routes.standbyServers(node))) return;
    this.state = node === null ? State.FORCED : State.ROUTED;
    if (node === null) {
      this.judgement.reason = NO_STANDBY;
      this.toPrimary();
    }
    this.client.linked();
  }

  private toPrimary(): typeof PASS {
    const { shape } = this.judgement;
    if (shape !== null) shape.statistics.onPrimary += 1;
    explainRoute(this.client, this.judgement, 'the primary');
    return PASS;
  }

  /** The same for the unit whose shape is known. */
  private unitToPrimary(type: number): Passing {
    this.toPrimary();
    return this.passes(type);
  }

  private passes(type: number): Passing {
    return type === Frontend.Query && this.shape?.leavesNothing === true ? PASS_HARMLESS : PASS;
  }

  // --- On a standby -------------------------------------------------------------------------------------------

  /** The unit at `position` goes to the node that was chosen for it. */
  private begin(type: number, bytes: Uint8Array, position: number): Verdict | Passing {
    const node = this.node as RouteNode;
    if (this.client.link === null) {
      this.servers = this.routes.standbyServers(node);
      if (this.servers === null) {
        this.leaveEarly();
        this.state = State.FORCED;
        return PASS;
      }
      if (!this.servers.acquire(this.client)) return BLOCK;
    }
    const server = this.client.link as ServerConnection;
    if (this.early !== null) {
      this.seesAtLeast = node.replayed;
      server.holdAnswers();
    }
    server.rowCount = this.shape?.statistics ?? null;
    this.state = State.RUNNING;
    this.inTransaction = false;
    this.transaction = this.judgement.begins;
    this.hasSnapshot = false;
    this.mayReadOn = false;
    this.beginOn(node);
    explainRoute(this.client, this.judgement, node.settings.name);
    this.run(type, bytes, position);
    return this.passes(type);
  }

  private run(type: number, bytes: Uint8Array, position: number): typeof PASS {
    this.hasSnapshot = this.judgement.reads && this.transaction?.keepsSnapshot === true;
    this.unit.begin(type, bytes, position, this.unitBytes);
    return PASS;
  }

  /** It waits for a server connection to itself. True: it has been sent together with others instead. */
  joinsOthers(): boolean {
    if (this.state !== State.ROUTED || this.early !== null) return false;
    return this.travelsTo(this.node as RouteNode, this.servers);
  }

  letGo(): void {
    this.early = null;
    if (this.state === State.RUNNING) this.client.link?.letAnswersGo();
  }

  takeBack(): void {
    const { servers, unit, state, node } = this;
    const server = this.client.link;
    if (unit.isOpen && server !== null) {
      // What it waits for in the middle of its unit can't be told, and can't be asked elsewhere.
      this.leaveEarly();
      return server.close(UNFIT);
    }
    this.early = null;
    this.node = null;
    this.servers = null;
    this.state = State.ASKING;
    if (state === State.ROUTED || server === null || !unit.isKept) {
      unit.drop();
      return servers?.leave(this.client);
    }
    node?.ended(this.context.io.now() - this.startedAt);
    unit.takeBackFor(this.client);
    servers?.abandon(server);
  }

  private leaveEarly(): void {
    if (this.early === null) return;
    this.early = null;
    this.routes.nodes.leave(this);
  }

  /** No standby can be had: the primary serves it. */
  sendElsewhere(): void {
    this.leaveEarly();
    this.servers = null;
    this.routed(null);
  }

  private goOn(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict | Passing {
    if (this.unit.passes(type)) return PASS;
    const link = this.client.link as ServerConnection;
    if (link.exchange.outstanding === 0) {
      if (link.status !== Backend.Idle) return this.goOnInTransaction(type, total, bytes, position, end);
      this.hasNext = true;
      link.releaseIfIdle();
      this.hasNext = false;
      // What has been left there by a function that claims to leave nothing is no reason to stay.
      if (this.client.link !== null && link.exchange.outstanding === 0) this.leaveStandby();
      // It has ended: this is a unit of its own.
      if (this.client.link === null) return this.judge(type, total, bytes, position, end);
    }
    return this.client.waitForAnswers();
  }

  private goOnInTransaction(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict | Passing {
    const isQuery = type === Frontend.Query;
    if (type === Frontend.Sync || type === Frontend.Flush) return PASS;
    this.inTransaction = true;
    if (this.hasSnapshot) return this.stay(type);
    if (isQuery && isIncomplete(total, position, end)) return WHOLE;
    const isUnit = isQuery || BEGINS_BATCH.has(type);
    const unitEnd = isUnit ? this.judgement.read(type, total, bytes, position, end, true) : -1;
    if (unitEnd >= 0) {
      this.unitBytes = unitEnd - position;
      return this.readOn(type, bytes, position);
    }
    const link = this.client.link as ServerConnection;
    // All but its end is refused, here as there.
    if (link.status === Backend.InFailedTransaction) return this.stay(type);
    this.moveToPrimary();
    return this.beginOnPrimary();
  }

  /** What the standby says to it is the client's, whatever it is. */
  private stay(type: number): typeof PASS {
    this.unit.isAnswered = true;
    this.unit.isOpen = BEGINS_BATCH.has(type);
    return PASS;
  }

  /** Each read of a transaction on a standby is to see as much as one by itself. */
  private readOn(type: number, bytes: Uint8Array, position: number): Verdict | Passing {
    const { consistency, reads } = this.judgement;
    const mustAsk = consistency === 'strong' || (consistency === 'session' && this.isBehind);
    if (reads && mustAsk && !this.mayReadOn) return this.ask(State.ASKING_AGAIN);
    this.mayReadOn = false;
    if (!reads || consistency !== 'bounded') return this.run(type, bytes, position);
    if (this.routes.nodes.pick('bounded', 0, this.node) !== null) return this.run(type, bytes, position);
    this.judgement.reason = NO_STANDBY;
    this.moveToPrimary();
    return this.beginOnPrimary();
  }

  /** @param node one that has what the read must see; its transaction's own may have it, too */
  private routedAgain(node: RouteNode | null): void {
    const own = this.node as RouteNode;
    this.mayReadOn = node !== null && own.mayServe && own.replayed >= this.neededPosition;
    this.state = State.RUNNING;
    this.isBehind &&= !this.mayReadOn;
    if (!this.mayReadOn) {
      this.judgement.reason = NO_STANDBY;
      this.moveToPrimary();
    }
    this.client.linked();
  }

  private moveToPrimary(): void {
    this.leaveStandby();
    this.state = State.MOVING;
    explainRoute(this.client, this.judgement, 'the primary');
  }

  private leaveStandby(): void {
    const { servers } = this;
    const server = this.client.unlink();
    this.finish();
    this.state = State.FREE;
    servers?.abandon(server);
  }

  private beginOnPrimary(): Verdict | Passing {
    if (!this.client.ensureLink()) return BLOCK;
    this.state = State.FREE;
    this.inTransaction = false;
    const { query } = this.transaction as TransactionStart;
    (this.client.link as ServerConnection).runAside(query, true, null, true);
    return PASS;
  }

  /** The link has ended in good order. */
  released(): void {
    if (this.state === State.RUNNING) {
      this.settle();
      this.finish();
    } else this.hasMoved = true;
    this.state = State.FREE;
  }

  private finish(): void {
    this.leaveNode();
    this.unit.drop();
  }

  /** A transaction has begun, as far as its client knows, and is to begin on the primary. */
  get isBegun(): boolean {
    return this.state === State.MOVING;
  }

  /** What its client has sent waits for an answer, without a server connection of its own. */
  get isBusy(): boolean {
    return this.state === State.ASKING || this.state === State.PIPELINED;
  }

  /** The client is gone. */
  leave(): void {
    this.stopAsking();
    const { servers } = this;
    if (this.state === State.RUNNING) this.finish();
    if (this.state === State.PIPELINED) this.leavePipeline();
    this.state = State.FREE;
    servers?.leave(this.client);
  }

  private stopAsking(): void {
    this.leaveEarly();
    if (this.state === State.ASKING || this.state === State.ASKING_AGAIN) this.routes.nodes.leave(this);
    if (this.state === State.ASKING_AGAIN) this.state = State.RUNNING;
  }

  // --- Correction ---------------------------------------------------------------------------------------------

  /** True: what failed on the standby is repeated on the primary, and nobody needs to know. */
  moves({ code }: ErrorFields): boolean {
    // By a transaction that only reads, or by one that was the primary.
    if (this.state === State.FREE && code === SqlState.read_only_sql_transaction)
      this.routes.nodes.doubtPrimary();
    if (!this.canRepeat || isItsOwn(code)) return false;
    if (isForPrimary(code)) this.shape?.refused(code);
    const { servers } = this;
    const server = this.client.unlink();
    this.repeat();
    servers?.abandon(server);
    return true;
  }

  /**
   * The server connection is gone. True: the client has missed nothing, and goes on on the primary.
   * @param isNodes the node may be gone, too
   */
  lost(exchange: Exchange, isNodes: boolean): boolean {
    const { state } = this;
    const asksAgain = state === State.ASKING_AGAIN;
    if (state !== State.RUNNING && state !== State.ROUTED && !asksAgain) return false;
    if (isNodes) (this.node as RouteNode).failed();
    const mayGoOn = this.survivesLossOf(exchange);
    this.stopAsking();
    if (this.state === State.ROUTED) this.sendElsewhere();
    else if (this.canRepeat) this.repeat();
    else {
      this.finish();
      this.state = mayGoOn ? State.MOVING : State.FREE;
      if (mayGoOn && asksAgain) this.client.linked();
    }
    return mayGoOn;
  }

  /** The primary can't be had for a transaction that is to go on there. True: there is one, and it is lost. */
  losesBlock(): boolean {
    const isMoving = this.state === State.MOVING;
    if (isMoving) this.state = State.FREE;
    return isMoving;
  }

  /** The standby's server connection can't be given the session. True: the primary gets what it was for. */
  refused(): boolean {
    if (this.state !== State.ROUTED) return false;
    this.sendElsewhere();
    return true;
  }

  /** The end of the server connection that this is the exchange of need not be told to the client. */
  survivesLossOf({ outstanding, status }: Exchange): boolean {
    if (this.canRepeat || this.state === State.ROUTED) return true;
    // Between two reads of a transaction.
    const isAtRest =
      outstanding === 0 && !this.unit.isOpen && !this.hasSnapshot && status === Backend.InTransaction;
    return (this.state === State.RUNNING || this.state === State.ASKING_AGAIN) && isAtRest;
  }

  /** An answer for the client. True: it needn't be told yet; else what was held back goes first. */
  holdsBack(bytes: Uint8Array, start: number, end: number): boolean {
    const { unit } = this;
    if (unit.isAnswered) return false;
    if (this.state === State.RUNNING && unit.holdsBack(bytes, start, end)) return true;
    unit.answer(this.client);
    return false;
  }

  /** Nothing of the running unit has been answered, and all of it has been sent. */
  get canRepeat(): boolean {
    return this.state === State.RUNNING && this.unit.isRepeatable;
  }

  private repeat(): void {
    this.countRepetition();
    this.leaveNode();
    this.state = this.inTransaction ? State.MOVING : State.FORCED;
    this.unit.repeatFor(this.client);
  }
}
