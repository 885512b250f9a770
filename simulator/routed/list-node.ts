/** A PostgreSQL server of a model cluster that holds lists, and who has sessions there. */
import { ModelNode } from '../nodes/model-node.js';
import type { Append } from '../session-lists.js';

/** A session there, as the node sees it. */
export interface NodeClient {
  /** No transaction of a client's runs there. */
  readonly isAtRest: boolean;
  /** It ends: with a last word, or as by a crash. */
  die(how: 'crash' | 'shutdown'): void;
  /** The node goes on after it stood still. */
  thawed(): void;
}

/** A commit is known to last. */
export type Acknowledged = () => void;

export class ListNode extends ModelNode {
  readonly sessions = new Set<NodeClient>();
  /** In which it has become the primary; 0: it never has. */
  term = 0;
  /** Whose WAL it is sent; null: nobody's. */
  upstream: ListNode | null = null;
  /** Nobody but its clients can reach it. */
  isIsolated = false;
  /** Its processes stand still. */
  isFrozen = false;
  /** WAL is on its way to it, or is being replayed. */
  isShipping = false;
  isReplaying = false;
  /** How many of its records the store's clients, or its own, have been told of. */
  acknowledged = 0;
  /** Commits of its own that wait for a standby, by their number in the log. */
  private readonly waiting = new Map<number, Acknowledged>();

  /** Its processes are gone, and with them what was not on its disk. */
  stop(how: 'crash' | 'shutdown'): void {
    this.isRunning = false;
    this.isFrozen = false;
    this.log.length = this.flushed;
    this.waiting.clear();
    for (const session of [...this.sessions]) session.die(how);
  }

  start(at: number): void {
    this.isRunning = true;
    this.isPaused = false;
    this.startedAt = at;
  }

  thaw(): void {
    this.isFrozen = false;
    for (const session of [...this.sessions]) session.thawed();
  }

  /** It becomes the primary of another timeline. */
  promote(timeline: number, term: number): void {
    this.timeline = timeline;
    this.term = term;
    this.upstream = null;
    this.isPaused = false;
    this.replayed = this.log.length;
    this.flushed = this.log.length;
    this.acknowledged = this.log.length;
    this.isInRecovery = false;
  }

  /** It is another one's standby, with nothing that this one hasn't got. */
  follow(upstream: ListNode): void {
    this.isInRecovery = true;
    this.isIsolated = false;
    this.upstream = upstream;
    this.timeline = upstream.timeline;
    let shared = 0;
    while (shared < this.log.length && this.log[shared] === upstream.log[shared]) shared += 1;
    this.log.length = shared;
    this.flushed = shared;
    this.replayed = Math.min(this.replayed, shared);
  }

  // --- What its sessions do -----------------------------------------------------------------------------------

  /** Something is in its log that is no commit. */
  write(id: number): void {
    this.log.push({ id, isCommit: false });
  }

  commit(id: number, acknowledged: Acknowledged): void {
    this.log.push({ id, isCommit: true });
    this.flushed = this.log.length;
    this.waiting.set(this.log.length, acknowledged);
  }

  /** Standbys, or its own disk alone, have so much of its log. */
  settle(position: number): void {
    for (const [at, acknowledged] of [...this.waiting]) {
      if (at > position) continue;
      this.waiting.delete(at);
      this.acknowledged = Math.max(this.acknowledged, at);
      acknowledged();
    }
  }

  get hasWaitingCommits(): boolean {
    return this.waiting.size > 0;
  }

  /** The tokens of one list, in order, as a session sees them there. */
  read(list: number, appendsOf: (id: number) => readonly Append[], own: readonly Append[]): string {
    const tokens: string[] = [];
    const take = (appends: readonly Append[]): void => {
      for (const append of appends) if (append.list === list) tokens.push(append.token);
    };
    for (let at = 0; at < this.visible; at++) {
      if (!this.waiting.has(at + 1)) take(appendsOf(this.log[at]!.id));
    }
    take(own);
    return tokens.join(',');
  }
}
