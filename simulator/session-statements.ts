/** What each statement of the simulator's language does in a model session. */
import * as Backend from '../src/wire/backend.js';
import * as Packets from './packets.js';
import type { Portal, PostgresSession } from './postgres-session.js';
import { isInvalid, spelling } from './session-parameters.js';
import type { Select, Statement } from './sql.js';
import { missingRelation, StatementError } from './statement-error.js';

/** The names of a statement's columns; null when it returns no rows. */
export function columnsOf(statement: Statement | null): readonly string[] | null {
  switch (statement?.kind) {
    case 'select':
      return ['token', 'variant', 'filling'];
    case 'fail':
    case 'missing':
    case 'notice':
      return ['token'];
    case 'show':
      return [statement.name];
    case 'set-config':
      return statement.settings.map(() => 'set_config');
    default:
      return null;
  }
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
  session.parameters.begin();
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
    case 'notice':
      session.out.push(Packets.notice('NOTICE', '00000', `noticed ${statement.token}`));
      session.out.push(Packets.dataRow([statement.token]));
      return complete(session, 'SELECT 1');
    case 'insert':
      return complete(session, 'INSERT 0 1');
    case 'notify':
      return complete(session, 'NOTIFY');
    default:
      return runControl(session, statement);
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

function runControl(session: PostgresSession, statement: Statement): void {
  switch (statement.kind) {
    case 'begin':
      if (session.inBlock) warn(session, '25001', 'there is already a transaction in progress');
      session.inBlock = true;
      return complete(session, 'BEGIN');
    case 'commit':
    case 'rollback':
      return endTransaction(session, statement.kind);
    case 'savepoint':
    case 'release-savepoint':
    case 'rollback-to-savepoint':
      return runSavepoint(session, statement.kind, statement.name);
    case 'sql-prepare':
    case 'sql-execute':
    case 'sql-deallocate':
      return runPrepared(session, statement.kind, statement.name, statement.token);
    case 'set': {
      const name = parameterName(statement.name);
      checkValue(name, statement.value);
      if (statement.local && !session.inBlock) {
        warn(session, '25P01', 'SET LOCAL can only be used in transaction blocks');
      }
      session.parameters.set(name, statement.value, statement.local);
      return complete(session, 'SET');
    }
    case 'set-config': {
      for (const [name, value] of statement.settings) checkValue(parameterName(name), value);
      for (const [name, value] of statement.settings)
        session.parameters.set(parameterName(name), value, false);
      session.out.push(Packets.dataRow(statement.settings.map(([, value]) => value)));
      return complete(session, 'SELECT 1');
    }
    case 'show': {
      const value = session.parameters.values.get(parameterName(statement.name)) ?? '';
      session.out.push(Packets.dataRow([value]));
      return complete(session, 'SHOW');
    }
    case 'discard-all':
      if (session.inBlock) {
        throw new StatementError('25001', 'DISCARD ALL cannot run inside a transaction block');
      }
      if (session.parameters.isSecretlyChanged) session.note('state that is not reported is reset');
      session.parameters.resetAll();
      session.statements.clear();
      session.sqlStatements.clear();
      session.portals.clear();
      return complete(session, 'DISCARD ALL');
    case 'deallocate-all':
      session.statements.clear();
      session.sqlStatements.clear();
      return complete(session, 'DEALLOCATE ALL');
  }
}

function endTransaction(session: PostgresSession, how: 'commit' | 'rollback'): void {
  const committed = how === 'commit' && !session.failed;
  if (!session.inBlock) warn(session, '25P01', 'there is no transaction in progress');
  if (committed) {
    if (session.parameters.commit()) session.note('SET LOCAL ends with its transaction');
  } else if (session.parameters.rollback()) session.note('SET is undone by ROLLBACK');
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
  const { parameters } = session;
  const { words, tag } = SAVEPOINT_COMMANDS[kind];
  if (!session.inBlock) throw new StatementError('25P01', `${words} can only be used in transaction blocks`);
  if (kind === 'savepoint') parameters.savepoint(name);
  else if (kind === 'release-savepoint') {
    if (!parameters.releaseSavepoint(name)) throw noSuchSavepoint(name);
  } else {
    const outcome = parameters.rollbackTo(name);
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

function runPrepared(
  session: PostgresSession,
  kind: 'sql-prepare' | 'sql-execute' | 'sql-deallocate',
  name: string,
  token: string,
): void {
  const isThere = session.sqlStatements.has(name);
  if (kind === 'sql-prepare') {
    if (isThere) throw new StatementError('42P05', `prepared statement "${name}" already exists`);
    session.note('PREPARE in SQL');
    session.sqlStatements.add(name);
    return complete(session, 'PREPARE');
  }
  if (!isThere) {
    if (kind === 'sql-execute') session.note('EXECUTE of a statement that the client has not prepared');
    throw new StatementError('26000', `prepared statement "${name}" does not exist`);
  }
  if (kind === 'sql-deallocate') {
    session.sqlStatements.delete(name);
    return complete(session, 'DEALLOCATE');
  }
  session.out.push(Packets.rowDescription(['token']), Packets.dataRow([token]));
  complete(session, 'SELECT 1');
}

function checkValue(name: string, value: string): void {
  if (!isInvalid(name, value)) return;
  throw new StatementError('22023', `invalid value for parameter "${name}": "${value}"`);
}

function warn(session: PostgresSession, code: string, message: string): void {
  session.out.push(Packets.notice('WARNING', code, message));
}

function parameterName(name: string): string {
  const known = spelling(name);
  if (known === null) throw new StatementError('42704', `unrecognized configuration parameter "${name}"`);
  return known;
}
