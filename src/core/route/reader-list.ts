/** Sessions that wait to be told where their reads go, oldest first. Intrusive: to wait allocates nothing. */
import type { RouteNode } from './route-node.js';

/** A session that waits to be told where its read goes. */
export interface Reader {
  nextReader: Reader | null;
  previousReader: Reader | null;
  /** What a standby must have replayed to serve it; set by the cluster when the primary has answered. */
  neededPosition: number;
  /** Since when it waits for a standby, in ms; set by the cluster. */
  waitsSince: number;
  /** The standby to which it has been sent before the primary was asked; null: it waits to be sent. */
  early: RouteNode | null;
  /** What that one had replayed at least when it was sent. */
  seesAtLeast: number;
  /** It sees all that it must: its answer may go to the client. It is in no list any more, and early no more. */
  letGo(): void;
  /** It may have seen too little: its answer is dropped. It waits to be sent again, and {@link routed} follows. */
  takeBack(): void;
  /** Told once, later, never from within {@link Cluster.awaitPosition}. Null: the primary. */
  routed(node: RouteNode | null): void;
}

export class ReaderList {
  first: Reader | null = null;
  last: Reader | null = null;

  push(reader: Reader): void {
    reader.nextReader = null;
    reader.previousReader = this.last;
    if (this.last === null) this.first = reader;
    else this.last.nextReader = reader;
    this.last = reader;
  }

  /** The reader is in this list, or neither first nor last of any. */
  remove(reader: Reader): void {
    const { previousReader, nextReader } = reader;
    if (previousReader !== null) previousReader.nextReader = nextReader;
    else if (this.first === reader) this.first = nextReader;
    if (nextReader !== null) nextReader.previousReader = previousReader;
    else if (this.last === reader) this.last = previousReader;
    reader.nextReader = null;
    reader.previousReader = null;
  }

  /** Whether it would be missed if the reader were taken out of another list: it is its first or its last. */
  isBoundedBy(reader: Reader): boolean {
    return this.first === reader || this.last === reader;
  }

  /** Puts all of another list, which is empty then, behind its own. */
  takeAll(other: ReaderList): void {
    if (other.first === null) return;
    if (this.last === null) this.first = other.first;
    else this.last.nextReader = other.first;
    other.first.previousReader = this.last;
    this.last = other.last;
    other.first = null;
    other.last = null;
  }
}
