/**
 * A client's read on a standby: on which one, for how long, and how it travels there if it shares a pipeline with others
 * (read-pipeline.ts). read-routing.ts decides what is sent where.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { RouteNode } from '../route/route-node.js';
import { isStalePlan } from '../server/stale-plans.js';
import type { KnownShape } from '../statements.js';
import { PipelinedRead, type PipelinedReader } from './pipelined-read.js';
import { ReadState as State } from './read-state.js';
import type { RoutedClient, Routes, StandbyServers } from './routed-client.js';
import { isForPrimary } from './standby-refusals.js';
import { UnitJudge } from './unit-judge.js';

export abstract class StandbyRead<Client extends RoutedClient> implements PipelinedReader {
  /** Where it has read last, for `session`. */
  preferred: RouteNode | null = null;
  protected readonly context: GatewayContext;
  protected readonly client: Client;
  protected readonly routes: Routes<Client>;
  protected readonly judgement: UnitJudge;
  protected state: number = State.FREE;
  /** In whose queue it waits, or whose server connection it has. */
  protected servers: StandbyServers<Client> | null = null;
  protected node: RouteNode | null = null;
  protected shape: KnownShape | null = null;
  protected startedAt = 0;
  /** Of the unit that is to be sent. */
  protected unitBytes = 0;
  /** Since its last read on a standby it may have seen, or done, what that one has not. */
  protected hasMoved = true;
  /** Where it runs was chosen for a read that may see less than the client has seen, or done. */
  protected isBehind = false;
  /** Null until it has been in a pipeline. */
  private travelling: PipelinedRead | null = null;

  constructor(context: GatewayContext, client: Client, routes: Routes<Client>) {
    this.context = context;
    this.client = client;
    this.routes = routes;
    this.judgement = new UnitJudge(client, routes);
  }

  /** It runs there from now on. */
  protected beginOn(node: RouteNode): void {
    this.startedAt = this.context.io.now();
    this.isBehind = this.judgement.mayLag;
    node.begun();
  }

  /** It has read there: its next one may go there, too, if this one has seen all that its client had seen. */
  protected settle(): void {
    if (!this.isBehind) this.preferred = this.node;
    this.hasMoved &&= this.isBehind;
  }

  /** @param ownMs how long the standby has been at it, if that is known; null: as long as it had nothing else to answer */
  protected leaveNode(ownMs: number | null = null): void {
    const ms = this.context.io.now() - this.startedAt;
    const node = this.node as RouteNode;
    node.ended(ms);
    this.shape?.statistics.ranOnStandby(ms, ownMs ?? node.ownMs(ms));
    this.node = null;
    this.servers = null;
  }

  protected countRepetition(): void {
    this.context.counters.readsRepeated += 1;
    if (this.shape !== null) this.shape.statistics.rerouted += 1;
  }

  // --- In a pipeline ------------------------------------------------------------------------------------------

  /** Non-null: it is in one. */
  get pipelined(): PipelinedRead | null {
    return this.state === State.PIPELINED ? this.travelling : null;
  }

  /** It is sent to this node together with others, if it may be, and if it is likely to be quick. */
  protected travelsTo(node: RouteNode, servers: StandbyServers<Client> | null): boolean {
    const { shape, judgement, unitBytes } = this;
    if (servers === null || shape === null || !judgement.mayRunTwice || judgement.explains) return false;
    this.travelling ??= new PipelinedRead(this.client, this);
    if (!servers.sendTogether(this.travelling, unitBytes, shape)) return false;
    this.state = State.PIPELINED;
    this.beginOn(node);
    return true;
  }

  travelled(ownMs: number | null): void {
    this.settle();
    this.leaveNode(ownMs);
    this.state = State.FREE;
  }

  sendAlone(): void {
    this.context.counters.readsDispersed += 1;
    (this.node as RouteNode).ended(this.context.io.now() - this.startedAt);
    this.state = State.ROUTED;
    this.client.linked();
  }

  repeatElsewhere(refusal: ErrorFields | null): void {
    if (refusal !== null && isForPrimary(refusal.code) && !isStalePlan(refusal))
      this.shape?.refused(refusal.code);
    this.countRepetition();
    this.leaveNode();
    this.state = State.FORCED;
    this.client.linked();
  }

  nodeFailed(): void {
    this.node?.failed();
  }

  protected leavePipeline(): void {
    this.travelling?.leave();
    this.leaveNode();
  }
}
