/**
 * What one node says, as fresh as it is needed: its role several times a second, and its position in the WAL whenever reads wait
 * for that. All over one connection.
 */

import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { Io } from '../io.js';
import { NODE_SILENCE_MS_MAX } from '../limits.js';
import type { OwnQuestion } from '../server/own-question.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import { connectionFailure } from '../server/server-errors.js';
import { buildPositionCall, EVIDENCE_QUERY, type Evidence, readEvidence, readTexts } from './evidence.js';
import { NodeConnection, type NodeConnections, type NodeConnectionUser } from './node-connection.js';
import type { RouteNode } from './route-node.js';
import type { Look } from './topology.js';
import { readPosition } from './wal-position.js';

/** Its name among the server's sessions. */
export const WATCHING = 'sluice: watching';

const NEVER = Number.POSITIVE_INFINITY;
const SILENT = connectionFailure('it does not answer');

/** Who wants to know. Called in the middle of an event: what follows from it is done at the end of the turn. */
export interface NodeWatcher {
  /** It has said what it is, or that can't be known any more. */
  looked(watch: NodeWatch): void;
  /** The answer to {@link NodeWatch.askPosition}: where the node is; -1: there is none. */
  positioned(watch: NodeWatch, position: number): void;
}

export class NodeWatch implements NodeConnectionUser, Look {
  readonly node: RouteNode;
  evidence: Evidence | null = null;
  isSettled = false;
  /** When it was asked what it has said last, in ms. */
  evidenceAskedAt = 0;
  /** When that came, in ms. */
  evidenceAt = 0;
  /** Why there is no connection; null: there is one. */
  error: ErrorFields | null = null;
  readonly connection: NodeConnection;
  private readonly io: Io;
  private readonly watcher: NodeWatcher;
  /** Since when an answer is awaited, in ms; 0: none is. */
  private roleAskedAt = 0;
  private positionAskedAt = 0;
  /** When it was asked for the position that it has told last, in ms, and when it has told that. */
  positionAskedAtLast = 0;
  positionToldAt = 0;
  private readonly role: OwnQuestion;
  private readonly position: OwnQuestion;
  /** It has been promoted since it was looked at, to this timeline or a later one; 0: nothing tells of that. */
  promotedTo = 0;
  /** When that was told, in ms. */
  private promotedAt = 0;
  private seen: Evidence | null = null;
  private seenPosition = -1;
  /** The cheapest question for its position. */
  private positionCall: Uint8Array = EVIDENCE_QUERY;
  private positionOid = 0;
  /** It is not blamed for its silence before, in ms. */
  private patientUntil = 0;

  constructor(shared: NodeConnections, node: RouteNode, watcher: NodeWatcher) {
    this.node = node;
    this.io = shared.context.io;
    this.watcher = watcher;
    this.connection = new NodeConnection(shared, node.settings, WATCHING, this);
    this.role = {
      what: 'question',
      error: null,
      row: (bytes, start, end) => {
        this.seen = readEvidence(readTexts(bytes, start, end));
      },
      answered: () => this.roleAnswered(),
    };
    this.position = {
      what: 'question',
      error: null,
      row: (bytes, start, end) => {
        this.seenPosition = readPosition(bytes, start, end);
      },
      answered: () => this.positionAnswered(),
    };
  }

  // --- Roles --------------------------------------------------------------------------------------------------

  /** Asks what the node is, unless that is under way. */
  look(): void {
    const { server } = this.connection;
    if (server === null || this.roleAskedAt > 0) return;
    this.roleAskedAt = this.io.now();
    this.seen = null;
    server.ask(this.role, EVIDENCE_QUERY, Request.QUERY);
  }

  private roleAnswered(): void {
    const { seen, role } = this;
    this.evidenceAskedAt = this.roleAskedAt;
    this.evidenceAt = this.io.now();
    this.node.answeredQuestion(this.evidenceAt - this.roleAskedAt);
    this.roleAskedAt = 0;
    if (seen === null) {
      this.forget(role.error ?? connectionFailure('it gives no sensible answer'));
      return;
    }
    this.evidence = seen;
    if (this.evidenceAskedAt >= this.promotedAt) this.promotedTo = 0;
    const oid = seen.isInRecovery ? seen.replayOid : seen.insertOid;
    if (oid !== this.positionOid) this.positionCall = buildPositionCall(oid);
    this.positionOid = oid;
    this.isSettled = true;
    this.error = null;
    this.watcher.looked(this);
    // What it has said was asked before it was promoted.
    if (this.promotedTo > 0) this.look();
  }

  /** A session there was told that it is no standby any more: until it has said what it is, nobody of its past is the primary. */
  leftRecovery(): void {
    if (this.evidence?.isInRecovery === true) {
      this.promotedTo = this.evidence.timeline + 1;
      this.promotedAt = this.io.now();
      this.watcher.looked(this);
    }
    this.look();
  }

  /** It has been given up, for it is there and says nothing, or can't be reached: what runs there may never end. */
  get isSilent(): boolean {
    return this.error === SILENT;
  }

  // --- Positions ----------------------------------------------------------------------------------------------

  /** An answer is awaited. */
  get isAskedForPosition(): boolean {
    return this.positionAskedAt > 0;
  }

  /** Asks a primary where it writes, a standby what it has replayed. False: it can't be asked. */
  askPosition(): boolean {
    const { server } = this.connection;
    if (server === null || this.evidence === null || this.positionAskedAt > 0) return false;
    this.positionAskedAt = this.io.now();
    this.seenPosition = -1;
    server.ask(this.position, this.positionCall, Request.FUNCTION_CALL);
    return true;
  }

  private positionAnswered(): void {
    this.positionToldAt = this.io.now();
    this.node.answeredQuestion(this.positionToldAt - this.positionAskedAt);
    this.positionAskedAtLast = this.positionAskedAt;
    this.positionAskedAt = 0;
    this.watcher.positioned(this, this.seenPosition);
  }

  // --- The connection -----------------------------------------------------------------------------------------

  ready(_server: ServerConnection): void {
    this.look();
  }

  lost(error: ErrorFields): void {
    this.roleAskedAt = 0;
    if (this.positionAskedAt > 0) {
      this.positionAskedAt = 0;
      this.watcher.positioned(this, -1);
    }
    // A full server is there, and what it was.
    if (error.code === SqlState.too_many_connections) this.evidenceAt = this.io.now();
    // One that was there is tried again at once: only when that fails is the node lost.
    else if (this.error !== null || this.evidence === null) return this.forget(error);
    this.error = error;
    this.isSettled = true;
    this.watcher.looked(this);
  }

  private forget(error: ErrorFields): void {
    this.evidence = null;
    this.isSettled = true;
    this.error = error;
    this.watcher.looked(this);
  }

  /** Nobody has listened to what it said. */
  forgive(now: number): void {
    this.patientUntil = now + NODE_SILENCE_MS_MAX;
  }

  /** Does what is due, and returns the time in ms at which more will be. @param every how often it is looked at, in ms */
  advance(now: number, every: number): number {
    const next = this.connection.advance(now);
    const { server } = this.connection;
    const silentSince = Math.min(this.roleAskedAt || NEVER, this.positionAskedAt || NEVER);
    const isLost = server === null && this.evidence !== null;
    const last = Math.min(silentSince, isLost ? this.evidenceAt : NEVER);
    const due = Math.max(last + NODE_SILENCE_MS_MAX, this.patientUntil);
    if (last < NEVER && now >= due) {
      server?.close(SILENT.message);
      this.forget(SILENT);
      return now;
    }
    if (server === null) return last < NEVER ? Math.min(next, due) : next;
    const lookAt = this.evidenceAt + every;
    if (now >= lookAt) this.look();
    return Math.min(next, last < NEVER ? due : NEVER, this.roleAskedAt > 0 ? NEVER : lookAt);
  }
}
