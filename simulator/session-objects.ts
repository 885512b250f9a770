/** What a model session keeps beside its settings: temporary tables, cursors, statements of SQL. */
import type { AdvisoryLocks } from './advisory-locks.js';
import type { Select } from './sql.js';

/** Each knows the token of the statement that made it, so that its owner is known. */
export interface TemporaryTable {
  readonly token: string;
  readonly dropsOnCommit: boolean;
}

export interface Cursor {
  readonly select: Select;
  /** It outlives its transaction (WITH HOLD). */
  readonly isHeld: boolean;
  /** Rows that FETCH has given so far. No rollback takes them back. */
  position: number;
}

/** What a rollback goes back to. */
export interface ObjectsMark {
  readonly tables: ReadonlyMap<string, TemporaryTable>;
  readonly cursors: ReadonlyMap<string, Cursor>;
}

const NOTHING: ObjectsMark = { tables: new Map(), cursors: new Map() };

export class SessionObjects {
  readonly tables = new Map<string, TemporaryTable>();
  readonly cursors = new Map<string, Cursor>();
  /** Statements that were prepared in SQL, by name: the token that each returns. No model client uses them in Bind. */
  readonly statements = new Map<string, string>();
  readonly locks: AdvisoryLocks;

  constructor(locks: AdvisoryLocks) {
    this.locks = locks;
  }

  mark(): ObjectsMark {
    const { tables, cursors } = this;
    if (tables.size + cursors.size === 0) return NOTHING;
    return { tables: new Map(tables), cursors: new Map(cursors) };
  }

  /** Tables are as they were then; a cursor that was opened since is gone, one that was closed doesn't come back. */
  goBackTo(mark: ObjectsMark): void {
    this.tables.clear();
    for (const [name, table] of mark.tables) this.tables.set(name, table);
    for (const [name, cursor] of this.cursors) {
      if (mark.cursors.get(name) !== cursor) this.cursors.delete(name);
    }
  }

  /** The transaction ends. */
  endTransaction(): void {
    for (const [name, table] of this.tables) if (table.dropsOnCommit) this.tables.delete(name);
    for (const [name, cursor] of this.cursors) if (!cursor.isHeld) this.cursors.delete(name);
  }

  discardAll(): void {
    this.tables.clear();
    this.cursors.clear();
    this.statements.clear();
    this.locks.unlockAll();
  }

  get heldCursors(): number {
    return [...this.cursors.values()].filter(({ isHeld }) => isHeld).length;
  }

  /** What is there, in words, with the token of the statement that made it. */
  *entries(): Generator<readonly [what: string, token: string]> {
    for (const [name, { token }] of this.tables) yield [`temporary table ${name}`, token];
    for (const [name, { select }] of this.cursors) yield [`cursor ${name}`, select.token];
    for (const [name, token] of this.statements) yield [`statement ${name}`, token];
    for (const [key, token] of this.locks.entries()) yield [`advisory lock ${key}`, token];
  }
}
