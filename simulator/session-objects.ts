/** What a model session keeps beside its settings: temporary tables, cursors, statements of SQL, channels, locks. */
import type { PoolMode, SessionStateMode } from '../src/core/settings.js';
import type { AdvisoryLocks } from './advisory-locks.js';
import type { Sent } from './notifications.js';
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

/** LISTEN or UNLISTEN, which take effect when their transaction commits. */
interface ChannelChange {
  /** Null: all of them. */
  readonly name: string | null;
  /** Of the LISTEN; null for an UNLISTEN. */
  readonly token: string | null;
}

/** What a rollback goes back to. */
export interface ObjectsMark {
  readonly tables: ReadonlyMap<string, TemporaryTable>;
  readonly cursors: ReadonlyMap<string, Cursor>;
  readonly channelChanges: number;
  readonly sending: number;
}

/** What decides about what a client may meet of another one's. */
export interface KeptBySettings {
  readonly poolMode: PoolMode;
  readonly sessionState: SessionStateMode;
}

const NOTHING: ObjectsMark = { tables: new Map(), cursors: new Map(), channelChanges: 0, sending: 0 };

export class SessionObjects {
  readonly tables = new Map<string, TemporaryTable>();
  readonly cursors = new Map<string, Cursor>();
  /** Statements that were prepared in SQL, by name: the token that each returns. No model client uses them in Bind. */
  readonly statements = new Map<string, string>();
  /** Channels that it listens to. */
  readonly channels = new Map<string, string>();
  readonly locks: AdvisoryLocks;
  /** The token of the statement that has brought the temporary schema, which stays; null: none has. */
  temporarySchema: string | null = null;
  private readonly channelChanges: ChannelChange[] = [];
  /** What the transaction has sent by now. */
  private readonly sending: Sent[] = [];
  private committed: Sent[] = [];

  constructor(locks: AdvisoryLocks) {
    this.locks = locks;
  }

  mark(): ObjectsMark {
    const { tables, cursors, channelChanges, sending } = this;
    if (tables.size + cursors.size + channelChanges.length + sending.length === 0) return NOTHING;
    return {
      tables: new Map(tables),
      cursors: new Map(cursors),
      channelChanges: channelChanges.length,
      sending: sending.length,
    };
  }

  /** Tables are as they were then; a cursor that was opened since is gone, one that was closed doesn't come back. */
  goBackTo(mark: ObjectsMark): void {
    this.tables.clear();
    for (const [name, table] of mark.tables) this.tables.set(name, table);
    for (const [name, cursor] of this.cursors) {
      if (mark.cursors.get(name) !== cursor) this.cursors.delete(name);
    }
    this.channelChanges.length = mark.channelChanges;
    this.sending.length = mark.sending;
  }

  changeChannels(change: ChannelChange): void {
    this.channelChanges.push(change);
  }

  send(sent: Sent): void {
    this.sending.push(sent);
  }

  /** What has been sent by transactions that were committed since the last call. */
  takeSent(): readonly Sent[] {
    const { committed } = this;
    if (committed.length > 0) this.committed = [];
    return committed;
  }

  /** The transaction ends; what a rollback undoes is undone already. */
  endTransaction(): void {
    if (this.sending.length > 0) this.committed.push(...this.sending.splice(0));
    for (const { name, token } of this.channelChanges.splice(0)) {
      if (name === null) this.channels.clear();
      else if (token === null) this.channels.delete(name);
      else if (!this.channels.has(name)) this.channels.set(name, token);
    }
    for (const [name, table] of this.tables) if (table.dropsOnCommit) this.tables.delete(name);
    for (const [name, cursor] of this.cursors) if (!cursor.isHeld) this.cursors.delete(name);
  }

  discardAll(): void {
    this.tables.clear();
    this.cursors.clear();
    this.statements.clear();
    this.channels.clear();
    this.locks.unlockAll();
  }

  get heldCursors(): number {
    return [...this.cursors.values()].filter(({ isHeld }) => isHeld).length;
  }

  /** Of {@link entries} what nobody would take away from the next client. */
  *leftovers(settings: KeptBySettings): Generator<readonly [what: string, token: string]> {
    for (const entry of this.entries(settings)) {
      if (settings.sessionState === 'classic' || !this.statements.has(entry[0].replace('statement ', '')))
        yield entry;
    }
  }

  /** What is there that no other client may meet, in words, with the token of the statement that made it. */
  *entries({ poolMode, sessionState }: KeptBySettings): Generator<readonly [what: string, token: string]> {
    const isLikeNew = poolMode === 'session' && sessionState !== 'classic';
    if (isLikeNew && this.temporarySchema !== null) yield ['the temporary schema', this.temporarySchema];
    for (const [name, { token }] of this.tables) yield [`temporary table ${name}`, token];
    for (const [name, { select }] of this.cursors) yield [`cursor ${name}`, select.token];
    for (const [name, token] of this.statements) yield [`statement ${name}`, token];
    for (const [name, token] of this.channels) yield [`channel ${name}`, token];
    for (const [key, token] of this.locks.entries()) yield [`advisory lock ${key}`, token];
  }
}
