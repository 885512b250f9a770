/** All that a model session keeps, and how transactions and savepoints undo it. */
import type { AdvisoryLocks } from './advisory-locks.js';
import { type Lists, SessionLists } from './session-lists.js';
import { type ObjectsMark, SessionObjects } from './session-objects.js';
import { SessionParameters, type SettingsMark } from './session-parameters.js';

interface Point {
  /** A savepoint's name; null: the transaction's beginning. */
  readonly name: string | null;
  readonly settings: SettingsMark;
  readonly objects: ObjectsMark;
}

export class SessionState {
  readonly parameters: SessionParameters;
  readonly objects: SessionObjects;
  readonly lists: SessionLists;
  /** The transaction's beginning and its savepoints, the oldest first; empty outside of a transaction. */
  private points: Point[] = [];

  constructor(startup: ReadonlyMap<string, string>, locks: AdvisoryLocks, lists?: Lists) {
    this.parameters = new SessionParameters(startup);
    this.objects = new SessionObjects(locks);
    this.lists = new SessionLists(lists);
  }

  begin(): void {
    if (this.points.length === 0) this.points.push(this.point(null));
  }

  /** True when a SET LOCAL has come to its end by it. */
  commit(): boolean {
    this.points = [];
    this.lists.commit();
    this.objects.endTransaction();
    return this.parameters.endLocal();
  }

  /** True when it has undone a setting. */
  rollback(): boolean {
    const beginning = this.points[0];
    const undone = beginning !== undefined && this.goBackTo(beginning);
    this.points = [];
    this.lists.rollback();
    this.objects.endTransaction();
    return undone;
  }

  savepoint(name: string): void {
    this.points.push(this.point(name));
  }

  /** Forgets a savepoint and those behind it; false: there is none of that name. */
  releaseSavepoint(name: string): boolean {
    const at = this.points.findLastIndex((point) => point.name === name);
    if (at >= 0) this.points.length = at;
    return at >= 0;
  }

  /** Goes back to a savepoint, which stays. */
  rollbackTo(name: string): 'nothing undone' | 'undone' | 'no such savepoint' {
    const at = this.points.findLastIndex((point) => point.name === name);
    if (at < 0) return 'no such savepoint';
    this.points.length = at + 1;
    return this.goBackTo(this.points[at]!) ? 'undone' : 'nothing undone';
  }

  /** An error within a transaction block: undoes what was done since the last savepoint, or since its beginning. */
  fail(): void {
    const last = this.points.at(-1);
    if (last !== undefined) this.goBackTo(last);
  }

  private point(name: string | null): Point {
    return { name, settings: this.parameters.mark(), objects: this.objects.mark() };
  }

  private goBackTo(point: Point): boolean {
    this.objects.goBackTo(point.objects);
    return this.parameters.goBackTo(point.settings);
  }
}
