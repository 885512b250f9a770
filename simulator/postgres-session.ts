/**
 * One PostgreSQL session as a pure machine: messages of a client in, messages of a server out, by the rules of the
 * protocol chapter and of PostgreSQL's own main loop (tcop/postgres.c). Two things run it: a model server, and every
 * model client as the reference for what a direct connection would have answered.
 */
import * as Backend from '../src/wire/backend.js';
import * as Frontend from '../src/wire/frontend.js';
import { AdvisoryLocks, type LockKeeper } from './advisory-locks.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';
import type { Lists } from './session-lists.js';
import type { SessionObjects } from './session-objects.js';
import type { SessionParameters } from './session-parameters.js';
import { SessionState } from './session-state.js';
import { checkRelations, columnsOf, runStatement } from './session-statements.js';
import type { Note } from './situations.js';
import { PARAMETER, parseScript, type Statement, tokens } from './sql.js';
import { StatementError, syntaxError } from './statement-error.js';

export interface Prepared {
  readonly statement: Statement | null;
  /** The types of its parameters. */
  readonly types: readonly number[];
}

/** What a parameter of which the client says no type is taken for: text. */
export const TEXT_TYPE = 25;

export interface Portal {
  readonly statement: Statement | null;
  /** Rows that Execute has given so far. */
  position: number;
  /** Execute has ended it. */
  done: boolean;
}

/** What the next {@link PostgresSession.step} does: nothing (input is missing), run a statement, or something instant. */
export type NextStep = 'nothing' | 'statement' | 'instant';

export class PostgresSession {
  readonly state: SessionState;
  readonly statements = new Map<string, Prepared>();
  readonly portals = new Map<string, Portal>();
  readonly note: Note;
  /** Answers that nobody has taken yet. */
  readonly out: Packet[] = [];
  /** Copy-in mode: rows so far, and whether Execute began it. */
  copyIn: { readonly statement: Statement; readonly extended: boolean; rows: number } | null = null;
  inBlock = false;
  failed = false;
  private readonly inputs: Packet[] = [];
  /** The rest of a simple Query; null when none is being run. */
  private script: Statement[] | null = null;
  private emptyScript = false;
  private skipping = false;
  private extended = false;
  /** Messages of the extended protocol have come, and not yet the Sync that ends them. */
  private batchOpen = false;
  /** What was prepared when the batch began, and whether its first message takes the unnamed one away. */
  private statementsBefore: ReadonlyMap<string, Prepared> = new Map();
  private destroysUnnamed: boolean | null = null;
  /** Several statements of one Query have an implicit transaction block around them. */
  isImplicitBlock = false;
  terminated = false;

  constructor(startup: ReadonlyMap<string, string>, locks: LockKeeper, note: Note, lists?: Lists) {
    this.state = new SessionState(startup, new AdvisoryLocks(locks), lists);
    this.note = note;
  }

  get parameters(): SessionParameters {
    return this.state.parameters;
  }

  get objects(): SessionObjects {
    return this.state.objects;
  }

  /** Messages that it has not dealt with. */
  get pending(): number {
    return this.inputs.length;
  }

  /** How many of them are of this kind. */
  countPending(isMeant: (message: Packet) => boolean): number {
    return this.inputs.filter(isMeant).length;
  }

  get status(): number {
    if (this.failed) return Backend.InFailedTransaction;
    return this.inBlock ? Backend.InTransaction : Backend.Idle;
  }

  /** Outside a transaction, and with nothing left to do. */
  get idle(): boolean {
    if (this.batchOpen || this.skipping || this.copyIn !== null) return false;
    return this.status === Backend.Idle && this.next === 'nothing';
  }

  push(message: Packet): void {
    this.inputs.push(message);
  }

  get next(): NextStep {
    if (this.script !== null && this.copyIn === null) return this.script.length > 0 ? 'statement' : 'instant';
    const input = this.inputs[0];
    if (input === undefined) return 'nothing';
    // Until CopyDone has been dealt with, a cancel request ends the COPY.
    if (this.copyIn !== null) {
      return input.type === Frontend.Flush || input.type === Frontend.Sync ? 'instant' : 'statement';
    }
    if (input.type === Frontend.Execute && !this.skipping) {
      return this.portals.has(Packets.readCstring(input.bytes, 5)[0]) ? 'statement' : 'instant';
    }
    return 'instant';
  }

  /** The statement that the next step runs. */
  get nextStatement(): Statement | null {
    if (this.next !== 'statement') return null;
    if (this.copyIn !== null) return this.copyIn.statement;
    if (this.script !== null) return this.script[0]!;
    return this.portals.get(Packets.readCstring(this.inputs[0]!.bytes, 5)[0])?.statement ?? null;
  }

  /** The type of the message that the next step takes; 0 when it takes none. */
  get nextInput(): number {
    return this.script !== null && this.copyIn === null ? 0 : (this.inputs[0]?.type ?? 0);
  }

  step(): void {
    try {
      if (this.script !== null && this.copyIn === null) this.stepScript();
      else this.take(this.inputs.shift()!);
    } catch (error) {
      if (error instanceof StatementError) this.raise(error.code, error.message);
      else if (error instanceof RangeError) this.raise('08P01', 'insufficient data left in message');
      else throw error;
    }
  }

  /** A cancel request takes effect on the statement that is next, or on a COPY that waits for data. */
  cancelNext(): void {
    this.failNext('57014', 'canceling statement due to user request');
  }

  /** The statement that is next fails before it has done anything. */
  failNext(code: string, message: string): void {
    if (this.copyIn === null) {
      if (this.script !== null) this.script.shift();
      else {
        this.inputs.shift();
        this.extended = true;
      }
    }
    this.raise(code, message);
  }

  /** The statement that is next is refused. */
  refuseNext(code: string, message: string): void {
    this.script?.shift();
    this.raise(code, message);
  }

  /**
   * What is being dealt with, which began outside of a transaction, fails at its first message. What is still in `out` must
   * have been dropped.
   */
  refuseBatch(code: string, message: string): void {
    this.statements.clear();
    for (const [name, prepared] of this.statementsBefore) this.statements.set(name, prepared);
    if (this.destroysUnnamed) this.statements.delete('');
    if (this.skipping) this.out.push(Packets.errorResponse('ERROR', code, message));
    else this.raise(code, message);
  }

  /** Ends the statement whose answer is only partly out. What is still in `out` must have been dropped. */
  cancelCurrent(): void {
    this.raise('57014', 'canceling statement due to user request');
  }

  private raise(code: string, message: string): void {
    if (this.parameters.value('exit_on_error') === 'on') {
      this.out.push(Packets.errorResponse('FATAL', code, message));
      this.terminated = true;
      return;
    }
    this.out.push(Packets.errorResponse('ERROR', code, message));
    this.copyIn = null;
    if (this.inBlock) {
      this.failed = true;
      this.state.fail();
    } else this.state.rollback();
    if (this.script !== null) this.script.length = 0;
    else if (this.extended) this.skipping = true;
    else this.ready();
    this.portals.clear();
  }

  private stepScript(): void {
    const statement = this.script!.shift();
    if (statement === undefined) {
      this.script = null;
      if (this.emptyScript) this.out.push(Packets.packet(Backend.EmptyQueryResponse));
      this.emptyScript = false;
      this.ready();
      return;
    }
    this.checkAllowed(statement);
    this.state.begin();
    const columns = columnsOf(this, statement);
    if (columns !== null) this.out.push(Packets.rowDescription(columns));
    runStatement(this, statement, null, 0, false);
  }

  /** Ends an implicit transaction, and says what the state is. */
  private ready(): void {
    this.batchOpen = false;
    this.destroysUnnamed = null;
    this.isImplicitBlock = false;
    this.statementsBefore = new Map(this.statements);
    if (!this.inBlock) {
      this.state.commit();
      this.portals.clear();
    }
    for (const [name, value] of this.parameters.report()) this.out.push(Packets.parameterStatus(name, value));
    this.out.push(Packets.readyForQuery(this.status));
  }

  warn(code: string, message: string): void {
    this.out.push(Packets.notice('WARNING', code, message));
  }

  checkAllowed(statement: Statement | null): void {
    if (!this.failed || statement === null) return;
    if (ALLOWED_IN_FAILED.has(statement.kind)) return;
    throw new StatementError(
      '25P02',
      'current transaction is aborted, commands ignored until end of transaction block',
    );
  }

  private take(message: Packet): void {
    if (message.type === Frontend.Terminate) {
      this.terminated = true;
      return;
    }
    if (message.type === Frontend.Sync && this.copyIn === null) {
      this.skipping = false;
      this.ready();
      return;
    }
    if (this.skipping) {
      this.note('a message is skipped after an error');
      if (message.type === Frontend.Query) this.note('a Query is skipped after an error');
      return;
    }
    if (this.copyIn !== null) {
      this.takeCopy(message);
      return;
    }
    const { bytes } = message;
    this.destroysUnnamed ??=
      message.type === Frontend.Query || (message.type === Frontend.Parse && bytes[5] === 0);
    this.extended = true;
    this.batchOpen ||= EXTENDED.has(message.type);
    switch (message.type) {
      case Frontend.Query:
        this.extended = false;
        return this.takeQuery(Packets.readCstring(bytes, 5)[0]);
      case Frontend.Parse:
        return this.takeParse(bytes);
      case Frontend.Bind:
        return this.takeBind(bytes);
      case Frontend.Describe:
        return this.takeDescribe(String.fromCharCode(bytes[5]!), Packets.readCstring(bytes, 6)[0]);
      case Frontend.Execute:
        return this.takeExecute(bytes);
      case Frontend.Close: {
        const name = Packets.readCstring(bytes, 6)[0];
        (bytes[5] === 0x53 ? this.statements : this.portals).delete(name);
        this.out.push(Packets.packet(Backend.CloseComplete));
        return;
      }
      case Frontend.FunctionCall:
        this.extended = false;
        return this.takeFunctionCall(bytes);
    }
    // Flush concerns the transport alone; CopyData, CopyDone and CopyFail are what follows a COPY that has failed.
    if (message.type !== Frontend.Flush) this.note('data of a COPY that has failed');
  }

  private takeQuery(text: string): void {
    this.statements.delete('');
    const script = parseScript(text);
    this.script = script;
    this.isImplicitBlock = script.length > 1;
    this.emptyScript = script.length === 0;
    const broken = script.find((statement) => statement.kind === 'syntax');
    if (broken !== undefined) throw syntaxError(broken);
  }

  private takeParse(bytes: Buffer): void {
    const [name, textAt] = Packets.readCstring(bytes, 5);
    const [text, typesAt] = Packets.readCstring(bytes, textAt);
    if (name === '') this.statements.delete('');
    const script = parseScript(text);
    if (script.length > 1) {
      throw new StatementError('42601', 'cannot insert multiple commands into a prepared statement');
    }
    const statement = script[0] ?? null;
    if (statement?.kind === 'syntax') throw syntaxError(statement);
    this.checkAllowed(statement);
    if (statement !== null) checkRelations(this.objects, statement);
    if (name !== '' && this.statements.has(name)) {
      throw new StatementError('42P05', `prepared statement "${name}" already exists`);
    }
    const declared = bytes.readInt16BE(typesAt) > 0 ? bytes.readInt32BE(typesAt + 2) : 0;
    const types = statement?.token === PARAMETER ? [declared === 0 ? TEXT_TYPE : declared] : [];
    this.statements.set(name, { statement, types });
    this.out.push(Packets.packet(Backend.ParseComplete));
  }

  private takeBind(bytes: Buffer): void {
    const [portal, nameAt] = Packets.readCstring(bytes, 5);
    const [name, formatsAt] = Packets.readCstring(bytes, nameAt);
    const prepared = this.statement(name);
    this.checkAllowed(prepared.statement);
    let at = formatsAt + 2 + 2 * bytes.readInt16BE(formatsAt);
    const count = bytes.readInt16BE(at);
    if (count !== prepared.types.length) {
      throw new StatementError(
        '08P01',
        `bind message supplies ${count} parameters, but prepared statement "${name}" requires ${prepared.types.length}`,
      );
    }
    if (portal !== '' && this.portals.has(portal)) {
      throw new StatementError('42P03', `cursor "${portal}" already exists`);
    }
    at += 2;
    const value = count === 0 ? null : bytes.toString('utf8', at + 4, at + 4 + bytes.readInt32BE(at));
    const statement =
      value === null || prepared.statement === null
        ? prepared.statement
        : { ...prepared.statement, token: value };
    this.state.begin();
    this.portals.set(portal, { statement: statement as Statement | null, position: 0, done: false });
    this.out.push(Packets.packet(Backend.BindComplete));
  }

  private takeDescribe(kind: string, name: string): void {
    if (kind !== 'S' && kind !== 'P')
      throw new StatementError('08P01', `invalid DESCRIBE message subtype ${kind}`);
    if (kind === 'S') {
      const prepared = this.statement(name);
      const { types } = prepared;
      if (types.some((type) => type !== TEXT_TYPE)) this.note('a statement with parameter types of its own');
      if (columnsOf(this, prepared.statement) !== null) this.checkAllowed(prepared.statement);
      this.out.push(
        Packets.packet(
          Backend.ParameterDescription,
          Packets.int16(types.length),
          ...types.map(Packets.int32),
        ),
        describeColumns(this, prepared.statement),
      );
      return;
    }
    const portal = this.portal(name);
    if (columnsOf(this, portal.statement) !== null) this.checkAllowed(portal.statement);
    this.out.push(describeColumns(this, portal.statement));
  }

  private takeExecute(bytes: Buffer): void {
    const [name, rowsAt] = Packets.readCstring(bytes, 5);
    const portal = this.portal(name);
    this.checkAllowed(portal.statement);
    if (portal.statement === null) this.out.push(Packets.packet(Backend.EmptyQueryResponse));
    else runStatement(this, portal.statement, portal, bytes.readInt32BE(rowsAt), true);
  }

  private takeFunctionCall(bytes: Buffer): void {
    const oid = bytes.readInt32BE(5);
    const length = bytes.readInt32BE(13);
    const argument = bytes.toString('utf8', 17, 17 + length);
    this.checkAllowed({ kind: 'fail', token: argument });
    if (oid !== FUNCTION_OID)
      throw new StatementError('42883', `function ${oid} does not exist (${argument})`);
    this.note('a function call');
    const value = Buffer.from(argument);
    this.out.push(Packets.packet(Backend.FunctionCallResponse, Packets.int32(value.length), value));
    this.ready();
  }

  private takeCopy(message: Packet): void {
    const copy = this.copyIn!;
    this.extended = copy.extended;
    switch (message.type) {
      case Frontend.CopyData: {
        const line = message.bytes.toString('utf8', 5);
        if (line.includes('bad'))
          throw new StatementError('22P04', `extra data after last expected column: ${line}`);
        copy.rows += 1;
        return;
      }
      case Frontend.CopyDone:
        this.copyIn = null;
        this.out.push(Packets.commandComplete(`COPY ${copy.rows}`));
        return;
      case Frontend.CopyFail: {
        const why = Packets.readCstring(message.bytes, 5)[0];
        throw new StatementError('57014', `COPY from stdin failed: ${why}`);
      }
    }
    // Flush and Sync are ignored in copy-in mode; no model client sends anything else there.
    if (message.type === Frontend.Sync) this.note('Sync within COPY FROM STDIN');
  }

  private statement(name: string): Prepared {
    const prepared = this.statements.get(name);
    if (prepared !== undefined) return prepared;
    if (name === '') throw new StatementError('26000', 'unnamed prepared statement does not exist');
    throw new StatementError('26000', `prepared statement "${name}" does not exist`);
  }

  private portal(name: string): Portal {
    const portal = this.portals.get(name);
    if (portal === undefined) throw new StatementError('34000', `portal "${name}" does not exist`);
    return portal;
  }
}

const ALLOWED_IN_FAILED: ReadonlySet<Statement['kind']> = new Set([
  'commit',
  'rollback',
  'rollback-to-savepoint',
]);

/** The one function that FunctionCall may call: it returns its argument. */
export const FUNCTION_OID = 4242;

function describeColumns(session: PostgresSession, statement: Statement | null): Packet {
  const columns = columnsOf(session, statement);
  return columns === null ? Packets.packet(Backend.NoData) : Packets.rowDescription(columns);
}

/** Tokens that a message of a client brings to the server: in its text, its parameters, its data. */
export function messageTokens(message: Packet): string[] {
  return CARRIERS.has(message.type) ? tokens(message.bytes.toString('latin1')) : [];
}

const CARRIERS: ReadonlySet<number> = new Set([
  Frontend.Query,
  Frontend.Parse,
  Frontend.Bind,
  Frontend.FunctionCall,
  Frontend.CopyData,
]);

const EXTENDED: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Execute,
  Frontend.Close,
]);
