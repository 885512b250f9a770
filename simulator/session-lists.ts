/** What a model session does to the lists that all sessions share, transaction by transaction. */
import { StatementError } from './statement-error.js';

export interface Append {
  readonly list: number;
  readonly token: string;
}

/** The lists of a server; those of a client's reference session know nothing. */
export interface Lists {
  /** Why nothing can be written, in words; null: it can. */
  readonly refusal: string | null;
  /** @param own what the session's transaction has appended, in order */
  read(list: number, own: readonly Append[]): string;
  /** Something is appended in a transaction that may end either way. */
  append(): void;
  commit(appends: readonly Append[]): void;
}

const NO_LISTS: Lists = { refusal: null, read: () => '', append() {}, commit() {} };
const READ_ONLY = 'cannot execute UPDATE in a read-only transaction';

export class SessionLists {
  /** The transaction only reads. */
  private isReadOnly = false;
  private readonly lists: Lists;
  private appends: Append[] = [];

  constructor(lists: Lists = NO_LISTS) {
    this.lists = lists;
  }

  /** A transaction that begins in recovery only reads, also when that has ended. */
  begin(isReadOnly: boolean): void {
    this.isReadOnly = isReadOnly || this.lists.refusal !== null;
  }

  /** @throws StatementError where nothing may be written */
  append(append: Append): void {
    const refusal = this.isReadOnly ? READ_ONLY : this.lists.refusal;
    if (refusal !== null) throw new StatementError('25006', refusal);
    this.appends.push(append);
    this.lists.append();
  }

  read(list: number): string {
    return this.lists.read(list, this.appends);
  }

  commit(): void {
    this.isReadOnly = false;
    const { appends } = this;
    if (appends.length === 0) return;
    this.appends = [];
    this.lists.commit(appends);
  }

  rollback(): void {
    this.isReadOnly = false;
    this.appends = [];
  }
}
