/** What the statements do that change or show what a model session keeps. */
import { REPLAY_SETTING } from '../src/core/session-state.js';
import * as Packets from './packets.js';
import type { PostgresSession } from './postgres-session.js';
import type { Cursor, SessionObjects, TemporaryTable } from './session-objects.js';
import { isInvalid, spelling } from './session-parameters.js';
import { isCustom, prepareText, type SettingChange, type StateStatement } from './state-sql.js';
import { StatementError } from './statement-error.js';

const PROBE_COLUMNS = [
  'settings',
  'temporary',
  'locks',
  'cursors',
  'prepared',
  'channels',
  'replay',
] as const;

type Kind = StateStatement['kind'];
type OfKind<K extends Kind> = Extract<StateStatement, { readonly kind: K }>;

/** Rows, if it returns any, and the command tag. */
type Result = readonly [tag: string, ...rows: (readonly string[])[]];
type Run<K extends Kind> = (session: PostgresSession, statement: OfKind<K>) => Result;

const RUNS: { readonly [K in Kind]: Run<K> } = {
  set(session, { name, value, local }) {
    if (local && !session.inBlock && !session.isImplicitBlock) {
      session.warn('25P01', 'SET LOCAL can only be used in transaction blocks');
    }
    change(session, [{ name, value, local }]);
    return ['SET'];
  },
  reset(session, { name }) {
    change(session, [{ name, value: null, local: false }]);
    return ['RESET'];
  },
  'reset-all': ({ parameters }) => {
    parameters.resetAll(false);
    return ['RESET'];
  },
  'set-config'(session, { changes }) {
    change(session, changes);
    return ['SELECT 1', changes.map(({ name }) => shown(session, name))];
  },
  show: (session, { name }) => ['SHOW', [shown(session, name)]],
  'current-setting': (session, { name }) => [
    'SELECT 1',
    [session.parameters.value(isCustom(name) ? name : parameterName(name)) ?? ''],
  ],
  'discard-all'(session) {
    if (session.inBlock) {
      throw new StatementError('25001', 'DISCARD ALL cannot run inside a transaction block');
    }
    if (session.parameters.isSecretlyChanged) session.note('state that is not reported is reset');
    session.parameters.resetAll(true);
    session.statements.clear();
    session.objects.discardAll();
    session.portals.clear();
    return ['DISCARD ALL'];
  },
  'discard-temporary'({ objects }) {
    objects.tables.clear();
    return ['DISCARD TEMP'];
  },
  'create-temporary'({ objects }, { name, token, dropsOnCommit }) {
    if (objects.tables.has(name)) throw new StatementError('42P07', `relation "${name}" already exists`);
    objects.tables.set(name, { token, dropsOnCommit });
    objects.temporarySchema ??= token;
    return ['SELECT 1'];
  },
  'read-temporary': ({ objects }, { name }) => [
    'SELECT 1',
    [temporaryTable(objects, name, 'relation').token],
  ],
  'drop-table'({ objects }, { name }) {
    temporaryTable(objects, name, 'table');
    objects.tables.delete(name);
    return ['DROP TABLE'];
  },
  lock({ objects }, { key, token }) {
    // Whoever runs the session has waited until it is free.
    objects.locks.tryLock(key, token);
    return ['SELECT 1', ['']];
  },
  'try-lock': ({ objects }, { key, token }) => ['SELECT 1', [truth(objects.locks.tryLock(key, token))]],
  unlock(session, { key }) {
    const isFreed = session.objects.locks.unlock(key);
    if (!isFreed) session.warn('01000', "you don't own a lock of type ExclusiveLock");
    return ['SELECT 1', [truth(isFreed)]];
  },
  'unlock-all'({ objects }) {
    objects.locks.unlockAll();
    return ['SELECT 1', ['']];
  },
  declare(session, { name, isHeld, select }) {
    const { cursors } = session.objects;
    if (!isHeld && !session.inBlock) {
      throw new StatementError('25P01', 'DECLARE CURSOR can only be used in transaction blocks');
    }
    if (cursors.has(name)) throw new StatementError('42P03', `cursor "${name}" already exists`);
    cursors.set(name, { select, isHeld, position: 0 });
    return ['DECLARE CURSOR'];
  },
  fetch({ objects }, { name, rows }) {
    const cursor = openCursor(objects, name);
    const { select, position } = cursor;
    cursor.position = Math.min(position + rows, select.rows);
    const row = [select.token, String(select.variant), 'f'.repeat(select.size)];
    const count = cursor.position - position;
    return [`FETCH ${count}`, ...Array.from({ length: count }, () => row)];
  },
  'close-cursor'({ objects }, { name }) {
    openCursor(objects, name);
    objects.cursors.delete(name);
    return ['CLOSE CURSOR'];
  },
  'sql-prepare'(session, { name, token }) {
    const { statements } = session.objects;
    if (statements.has(name)) {
      throw new StatementError('42P05', `prepared statement "${name}" already exists`);
    }
    session.note('PREPARE in SQL');
    statements.set(name, token);
    return ['PREPARE'];
  },
  'sql-execute'(session, { name }) {
    const { statements } = session.objects;
    if (!statements.has(name)) session.note('EXECUTE of a statement that the client has not prepared');
    return ['SELECT 1', [preparedToken(session.objects, name)]];
  },
  'sql-deallocate'({ objects, statements, note }, { name }) {
    if (statements.delete(name)) {
      note('DEALLOCATE of what the protocol has prepared');
      return ['DEALLOCATE'];
    }
    preparedToken(objects, name);
    objects.statements.delete(name);
    return ['DEALLOCATE'];
  },
  'deallocate-all'({ statements, objects }) {
    statements.clear();
    objects.statements.clear();
    return ['DEALLOCATE ALL'];
  },
  listen({ objects }, { name, token }) {
    objects.changeChannels({ name, token });
    return ['LISTEN'];
  },
  unlisten({ objects }, { name }) {
    objects.changeChannels({ name, token: null });
    return ['UNLISTEN'];
  },
  replay(session, { channels, change: mark }) {
    if (session.parameters.value(mark.name) !== mark.value) {
      for (const name of channels) session.objects.changeChannels({ name, token: '' });
      change(session, [mark]);
    }
    return ['DO'];
  },
  'count-channels': ({ objects }) => ['SELECT 1', [String(objects.channels.size)]],
  probe: ({ parameters, objects }, { customNames }) => [
    'SELECT 1',
    [
      hexOfJson(parameters.found(customNames)),
      truth(objects.tables.size > 0),
      truth(objects.locks.count > 0),
      truth(objects.heldCursors > 0),
      hexOfStatements(objects),
      objects.channels.size > 0 ? hexOfJson([...objects.channels.keys()]) : '',
      parameters.value(REPLAY_SETTING) ?? '',
    ],
  ],
  remains: ({ objects }) => ['SELECT 1', [objects.temporarySchema === null ? '0' : '16384', '0']],
};

/** Runs it, and sends everything but RowDescription. Throws {@link StatementError}. */
export function runState<K extends Kind>(session: PostgresSession, statement: OfKind<K>): void {
  const run = RUNS[statement.kind] as Run<K>;
  const [tag, ...rows] = run(session, statement);
  for (const row of rows) session.out.push(Packets.dataRow(row));
  session.out.push(Packets.commandComplete(tag));
}

/** The names of its columns; null when it returns no rows, or can't be run. */
export function stateColumns(objects: SessionObjects, statement: StateStatement): readonly string[] | null {
  switch (statement.kind) {
    case 'show':
      return [statement.name];
    case 'current-setting':
      return ['coalesce'];
    case 'set-config':
      return statement.changes.map(() => 'set_config');
    case 'read-temporary':
      return objects.tables.has(statement.name) ? ['token'] : null;
    case 'sql-execute':
      return objects.statements.has(statement.name) ? ['token'] : null;
    case 'fetch':
      return objects.cursors.has(statement.name) ? ['token', 'variant', 'filling'] : null;
    case 'lock':
      return ['pg_advisory_lock'];
    case 'try-lock':
      return ['pg_try_advisory_lock'];
    case 'unlock':
      return ['pg_advisory_unlock'];
    case 'unlock-all':
      return ['pg_advisory_unlock_all'];
    case 'count-channels':
      return ['count'];
    case 'probe':
      return PROBE_COLUMNS;
    case 'remains':
      return ['pg_my_temp_schema', 'count'];
    default:
      return null;
  }
}

/** All of it is checked before any of it is done: an error undoes the statement. */
function change(session: PostgresSession, changes: readonly SettingChange[]): void {
  for (const { name, value } of changes) {
    if (!isCustom(name) && value !== null) checkValue(parameterName(name), value);
  }
  for (const { name, value, local } of changes) {
    session.parameters.set(isCustom(name) ? name : parameterName(name), value, local);
  }
}

function shown(session: PostgresSession, name: string): string {
  const value = session.parameters.value(isCustom(name) ? name : parameterName(name));
  if (value === null) throw unknownSetting(name);
  return value;
}

function parameterName(name: string): string {
  const known = spelling(name);
  if (known === null) throw unknownSetting(name);
  return known;
}

function unknownSetting(name: string): StatementError {
  return new StatementError('42704', `unrecognized configuration parameter "${name}"`);
}

function checkValue(name: string, value: string): void {
  if (!isInvalid(name, value)) return;
  throw new StatementError('22023', `invalid value for parameter "${name}": "${value}"`);
}

/** Throws {@link StatementError} when it isn't there. @param word what the message calls it */
export function temporaryTable(
  objects: SessionObjects,
  name: string,
  word: 'relation' | 'table',
): TemporaryTable {
  const table = objects.tables.get(name);
  if (table === undefined) throw new StatementError('42P01', `${word} "${name}" does not exist`);
  return table;
}

function openCursor(objects: SessionObjects, name: string): Cursor {
  const cursor = objects.cursors.get(name);
  if (cursor === undefined) throw new StatementError('34000', `cursor "${name}" does not exist`);
  return cursor;
}

function preparedToken(objects: SessionObjects, name: string): string {
  const token = objects.statements.get(name);
  if (token === undefined) throw new StatementError('26000', `prepared statement "${name}" does not exist`);
  return token;
}

const hexOfJson = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('hex');

/** As `pg_prepared_statements` shows them; empty: there is none. */
function hexOfStatements({ statements }: SessionObjects): string {
  if (statements.size === 0) return '';
  const texts = [...statements].map(([name, token]) => [name, prepareText(name, token)]);
  return Buffer.from(JSON.stringify(texts)).toString('hex');
}

const truth = (value: boolean): string => (value ? 't' : 'f');
