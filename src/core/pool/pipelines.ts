/** The pipelines of a pool of server connections to one standby (session/read-pipeline.ts), and which reads share one. */
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { PipelinedRead } from '../session/pipelined-read.js';
import { travellingUnit } from '../session/pipelined-unit.js';
import { type PipelineOwner, ReadPipeline } from '../session/read-pipeline.js';
import type { PoolMode } from '../settings.js';
import type { KnownShape } from '../statements.js';

/** For so long, in ms, a read may be expected to wait for those before it and to run. */
const EXPECTED_MS_MAX = 2;

/** The pool, as this sees it. */
export interface PipelinedPool {
  readonly database: Database;
  readonly identity: { readonly node?: { readonly questionMs: number } | null };
  readonly limits: { readonly mode: PoolMode };
  readonly isHeld: boolean;
  readonly waiters: { readonly first: object | null };
  readonly resting: { readonly next: ServerConnection | undefined; take(): ServerConnection | undefined };
  /** Nobody waits any more for what runs there. It has no link. */
  leaveRunning(server: ServerConnection, isCancelled: boolean): void;
}

export class Pipelines implements PipelineOwner {
  private readonly context: GatewayContext;
  private readonly pool: PipelinedPool;
  /** The newest one. */
  private latest: ReadPipeline | null = null;
  /** Those that are not used. */
  private readonly spare: ReadPipeline[] = [];

  constructor(context: GatewayContext, pool: PipelinedPool) {
    this.context = context;
    this.pool = pool;
  }

  /** See `StandbyServers.sendTogether`. */
  send(read: PipelinedRead, unitBytes: number, shape: KnownShape): boolean {
    const { client } = read;
    const { readPipelineLength, maxPreparedStatements } = this.context.settings;
    if (readPipelineLength <= 1 || !this.isNext(client)) return false;
    const { statistics } = shape;
    const expectedMs = this.expectedOf(statistics);
    const isQuick = expectedMs <= EXPECTED_MS_MAX;
    const leavesNothing = shape.leavesNothing === true;
    if (!isQuick || !travellingUnit.read(client, client.keptUnit, unitBytes, leavesNothing)) return false;
    const pipeline = this.openFor(read, expectedMs) ?? this.begin(read);
    if (pipeline === null) return false;
    read.begin(pipeline, unitBytes, statistics);
    pipeline.add(read, expectedMs);
    travellingUnit.send(pipeline.server as ServerConnection, maxPreparedStatements);
    this.pool.database.waited(client, this.context.io.now(), true);
    this.context.counters.readsPipelined += 1;
    return true;
  }

  /** Nobody has waited longer, and clients of the pool get server connections. */
  private isNext(client: object): boolean {
    const { isHeld, waiters } = this.pool;
    return !isHeld && (waiters.first === null || waiters.first === client);
  }

  /** A read may find a place in one. */
  get hasRoom(): boolean {
    return this.latest?.isOpen === true || this.pool.resting.next !== undefined;
  }

  /** How long the standby is likely to be at it, in ms. */
  private expectedOf({ expectedMs }: KnownShape['statistics']): number {
    return expectedMs;
  }

  private openFor({ client }: PipelinedRead, expectedMs: number): ReadPipeline | null {
    const { latest } = this;
    if (latest === null || !latest.isOpen) return null;
    const isFull = latest.sent >= this.context.settings.readPipelineLength;
    if (isFull || latest.expectedMs + expectedMs > EXPECTED_MS_MAX) return null;
    return isFit(latest.server as ServerConnection, client) ? latest : null;
  }

  /** On a server connection that is free and has what the client's session has; null: there is none. */
  private begin({ client }: PipelinedRead): ReadPipeline | null {
    const { pool, context } = this;
    const { next } = pool.resting;
    if (next === undefined || !isFit(next, client)) return null;
    const pipeline = this.spare.pop() ?? new ReadPipeline(context.newId(), this, context.parameterSets.empty);
    const server = pool.resting.take() as ServerConnection;
    pipeline.begin(server, context.io.now() + (pool.identity.node?.questionMs ?? 0));
    this.latest = pipeline;
    server.bind(pipeline, pool.limits.mode);
    context.pipelineWatch.begun(pipeline);
    context.counters.pipelines += 1;
    return pipeline;
  }

  pipelineEnded(pipeline: ReadPipeline): void {
    this.context.pipelineWatch.ended(pipeline);
    this.spare.push(pipeline);
  }

  pipelineAbandoned(pipeline: ReadPipeline, server: ServerConnection): void {
    this.pipelineEnded(pipeline);
    this.pool.leaveRunning(server, true);
  }
}

/** The server connection has what the client's session has, and nothing that was left by code of another one. */
function isFit(server: ServerConnection, client: PipelinedRead['client']): boolean {
  return (
    server.parameters === client.parameters &&
    server.settings === client.settings &&
    server.prepared === client.prepared &&
    !server.mayHoldOthersSettings &&
    !server.ranOpaque
  );
}
