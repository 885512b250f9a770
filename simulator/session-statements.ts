/** What each statement of the simulator's language does in a model session. */
import * as Backend from '../src/wire/backend.js';
import * as Packets from './packets.js';
import type { Portal, PostgresSession } from './postgres-session.js';
import type { SessionObjects } from './session-objects.js';
import type { Select, Statement } from './sql.js';
import { runState, stateColumns, temporaryTable } from './state-statements.js';
import { missingColumn, missingRelation, StatementError, syntaxError } from './statement-error.js';

/** The names of a statement's columns; null when it returns no rows, or can't be run. */
export function columnsOf(session: PostgresSession, statement: Statement | null): readonly string[] | null {
  if (statement === null) return null;
  switch (statement.kind) {
    case 'select':
      return ['token', 'variant', 'filling'];
    case 'fail':
    case 'notice':
      return ['token'];
    case 'read-list':
      return ['token', 'items'];
    case 'append':
      return statement.isHidden ? ['token'] : null;
    case 'missing':
    case 'refused':
    case 'syntax':
    case 'notify':
    case 'insert':
    case 'begin':
    case 'commit':
    case 'rollback':
    case 'savepoint':
    case 'release-savepoint':
    case 'rollback-to-savepoint':
    case 'copy-in':
    case 'copy-out':
      return null;
    default:
      return stateColumns(session.objects, statement);
  }
}

/** As the planner finds them at Parse: throws {@link StatementError} when the statement reads what isn't there. */
export function checkRelations(objects: SessionObjects, statement: Statement): void {
  if (statement.kind === 'missing') throw missingRelation(statement);
  if (statement.kind === 'refused') throw missingColumn();
  if (statement.kind === 'read-temporary') temporaryTable(objects, statement.name, 'relation');
}

/**
 * Runs one statement, or a part of it: up to `maxRows` rows of a portal (0: all). Throws {@link StatementError}.
 * RowDescription is the caller's affair.
 */
export function runStatement(
  session: PostgresSession,
  statement: Statement,
  portal: Portal | null,
  maxRows: number,
  extended: boolean,
): void {
  session.state.begin();
  switch (statement.kind) {
    case 'select':
      return runSelect(session, statement, portal, maxRows);
    case 'copy-in':
      session.out.push(Packets.packet(Backend.CopyInResponse, COPY_FORMAT));
      session.copyIn = { statement, extended, rows: 0 };
      return;
    case 'copy-out':
      session.out.push(Packets.packet(Backend.CopyOutResponse, COPY_FORMAT));
      for (let row = 0; row < statement.rows; row++) {
        const line = Buffer.from(`${statement.token}\t${row}\t${'o'.repeat(statement.size)}\n`);
        session.out.push(Packets.packet(Backend.CopyData, line));
      }
      session.out.push(Packets.packet(Backend.CopyDone));
      return complete(session, `COPY ${statement.rows}`);
    case 'fail':
      throw new StatementError('22012', `division by zero (${statement.token})`);
    case 'missing':
      throw missingRelation(statement);
    case 'refused':
      throw missingColumn();
    case 'notice':
      session.out.push(Packets.notice('NOTICE', '00000', `noticed ${statement.token}`));
      session.out.push(Packets.dataRow([statement.token]));
      return complete(session, 'SELECT 1');
    case 'insert':
      return complete(session, 'INSERT 0 1');
    case 'append':
      session.state.lists.append(statement);
      if (statement.isHidden) session.out.push(Packets.dataRow([statement.token]));
      return complete(session, statement.isHidden ? 'SELECT 1' : 'UPDATE 1');
    case 'read-list':
      session.out.push(Packets.dataRow([statement.token, session.state.lists.read(statement.list)]));
      return complete(session, 'SELECT 1');
    case 'notify':
      session.objects.send(statement);
      return complete(session, 'NOTIFY');
    case 'begin':
      if (session.inBlock) session.warn('25001', 'there is already a transaction in progress');
      session.inBlock = true;
      session.state.lists.begin(statement.isReadOnly);
      return complete(session, 'BEGIN');
    case 'commit':
    case 'rollback':
      return endTransaction(session, statement.kind);
    case 'savepoint':
    case 'release-savepoint':
    case 'rollback-to-savepoint':
      return runSavepoint(session, statement.kind, statement.name);
    case 'syntax':
      throw syntaxError(statement);
    default:
      return runState(session, statement);
  }
}

const COPY_FORMAT = Buffer.from([0, 0, 1, 0, 0]);

function complete(session: PostgresSession, tag: string): void {
  session.out.push(Packets.commandComplete(tag));
}

function runSelect(session: PostgresSession, select: Select, portal: Portal | null, maxRows: number): void {
  const first = portal?.position ?? 0;
  const last = maxRows > 0 ? Math.min(first + maxRows, select.rows) : select.rows;
  const row = Packets.dataRow([select.token, String(select.variant), 'f'.repeat(select.size)]);
  for (let i = first; i < last; i++) session.out.push(row);
  if (portal !== null) portal.position = last;
  // As PostgreSQL does it: with a limit that is just reached, it can't know yet that there are no more rows.
  if (maxRows > 0 && last - first === maxRows) session.out.push(Packets.packet(Backend.PortalSuspended));
  else complete(session, `SELECT ${last - first}`);
}

function endTransaction(session: PostgresSession, how: 'commit' | 'rollback'): void {
  const committed = how === 'commit' && !session.failed;
  if (!session.inBlock) session.warn('25P01', 'there is no transaction in progress');
  if (committed) {
    if (session.state.commit()) session.note('SET LOCAL ends with its transaction');
  } else if (session.state.rollback()) session.note('SET is undone by ROLLBACK');
  session.inBlock = false;
  session.failed = false;
  session.portals.clear();
  complete(session, committed ? 'COMMIT' : 'ROLLBACK');
}

const SAVEPOINT_COMMANDS = {
  savepoint: { words: 'SAVEPOINT', tag: 'SAVEPOINT' },
  'release-savepoint': { words: 'RELEASE SAVEPOINT', tag: 'RELEASE' },
  'rollback-to-savepoint': { words: 'ROLLBACK TO SAVEPOINT', tag: 'ROLLBACK' },
} as const;

function runSavepoint(session: PostgresSession, kind: keyof typeof SAVEPOINT_COMMANDS, name: string): void {
  const { state } = session;
  const { words, tag } = SAVEPOINT_COMMANDS[kind];
  if (!session.inBlock) throw new StatementError('25P01', `${words} can only be used in transaction blocks`);
  if (kind === 'savepoint') state.savepoint(name);
  else if (kind === 'release-savepoint') {
    if (!state.releaseSavepoint(name)) throw noSuchSavepoint(name);
  } else {
    const outcome = state.rollbackTo(name);
    if (outcome === 'no such savepoint') throw noSuchSavepoint(name);
    if (outcome === 'undone') session.note('SET is undone by ROLLBACK TO SAVEPOINT');
    session.failed = false;
    session.portals.clear();
  }
  complete(session, tag);
}

function noSuchSavepoint(name: string): StatementError {
  return new StatementError('3B001', `savepoint "${name}" does not exist`);
}
