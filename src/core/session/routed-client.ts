/** What routing asks of a client, of its pool and of the nodes. */
import type { Verdict } from '../../wire/framing.js';
import type { Cluster } from '../route/cluster.js';
import type { RouteNode } from '../route/route-node.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { KnownShape } from '../statements.js';
import type { PipelinedClient, PipelinedRead } from './pipelined-read.js';
import type { JudgedClient, JudgedPool } from './unit-judge.js';

/** What is known of the nodes of a database. */
export type ReadNodes = Pick<
  Cluster,
  'awaitPosition' | 'keepsBack' | 'early' | 'leave' | 'pick' | 'doubtPrimary'
>;

/** A pool of server connections to one standby. */
export interface StandbyServers<Client> {
  /** As `ClientPool.acquire`. */
  acquire(client: Client): boolean;
  /** Sends a unit of so many bytes in a pipeline with others. False: it can't, and nothing has been sent. */
  sendTogether(read: PipelinedRead, unitBytes: number, shape: KnownShape): boolean;
  /** The client is gone, or leaves the queue. */
  leave(client: Client): void;
  /** It is the pool's again, and what is still to come of its answers is nobody's. It has no link. */
  abandon(server: ServerConnection): void;
}

/** The client, as this sees it. */
export interface RoutedClient extends PipelinedClient, Omit<JudgedClient, 'parameters'> {
  readonly link: ServerConnection | null;
  idleSince: number;
  readonly statements:
    | (JudgedClient['statements'] & PipelinedClient['statements'] & { forgetName(name: string): void })
    | null;
  /** True when a server connection of its own pool is linked; else the message is judged again later (BLOCK). */
  ensureLink(): boolean;
  waitForAnswers(): Verdict;
  /** It may go on: what it sent meanwhile is judged again. */
  linked(): void;
  /** What it has sent is judged once more, before what has come since. */
  repeat(bytes: Uint8Array, length: number): void;
  /** Gives up the server connection of the link. */
  unlink(): ServerConnection;
  /** Gives it up with what it was sent over it, which is judged once more. */
  takeBack(bytes: Uint8Array, length: number): void;
  send(message: Uint8Array): void;
}

/** What holds for all sessions of one pool. */
export interface Routes<Client> extends JudgedPool {
  readonly nodes: ReadNodes;
  /** Null: there are too many pools. */
  standbyServers(node: RouteNode): StandbyServers<Client> | null;
}
