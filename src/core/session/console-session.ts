/**
 * A client of the admin console, behind its login: the simple and the extended protocol, one message at a time. While
 * the control plane has a statement, what comes next waits.
 */
import * as Backend from '../../wire/backend.js';
import {
  readBind,
  readClose,
  readDescribe,
  readExecute,
  readParse,
  readQuery,
} from '../../wire/client-messages.js';
import { buildErrorResponse, buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { BLOCK, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import {
  buildBindComplete,
  buildCloseComplete,
  buildCommandComplete,
  buildEmptyQueryResponse,
  buildNoData,
  buildParameterDescription,
  buildParseComplete,
  buildReadyForQuery,
} from '../../wire/server-messages.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { ConsoleAnswer, ConsoleQuestion, ConsoleResult } from '../console.js';
import { CONSOLE_NAMES_MAX, CONSOLE_STATEMENT_BYTES_MAX } from '../limits.js';
import { type Formats, rowDescription, rowsOf } from './console-rows.js';

const TEXT_OID = 25;

/** What it needs of the session and its gateway. */
export interface ConsoleClient {
  send(message: Uint8Array): void;
  /** Asks the control plane; {@link ConsoleSession.answered} gets the answer. */
  ask(question: Pick<ConsoleQuestion, 'text' | 'parameters' | 'want'>): void;
  /** Goes on with the messages that wait. */
  resume(): void;
}

interface Portal {
  readonly text: string;
  readonly parameters: readonly (string | null)[];
  readonly formats: Formats;
  /** What its execution gave, of which so many rows have been sent. */
  result: ConsoleResult | null;
  sent: number;
}

/** What the statement that the control plane has is for. */
type Waiting =
  | { readonly kind: 'query' }
  | { readonly kind: 'describe'; readonly formats: Formats | null }
  | { readonly kind: 'execute'; readonly portal: Portal; readonly maxRows: number };

export class ConsoleSession {
  private readonly client: ConsoleClient;
  private readonly statements = new Map<string, string>();
  private readonly portals = new Map<string, Portal>();
  private waiting: Waiting | null = null;
  /** An error came in the extended protocol: what follows is dropped up to Sync. */
  private skipping = false;

  constructor(client: ConsoleClient) {
    this.client = client;
  }

  /** Judges one message (framing.ts), whose body ends at `position + total`. */
  message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.waiting !== null) return BLOCK;
    if (total > CONSOLE_STATEMENT_BYTES_MAX) {
      this.refuse(type, {
        ...SYNTAX,
        code: SqlState.program_limit_exceeded,
        message: 'statement is too long',
      });
      return SWALLOW;
    }
    if (end - position < total) return WHOLE;
    if (this.skipping && type !== Frontend.Sync) return SWALLOW;
    try {
      this.take(type, bytes, position + HEADER_BYTES, position + total);
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.refuse(type, { ...SYNTAX, code: SqlState.protocol_violation, message: error.message });
    }
    return SWALLOW;
  }

  private take(type: number, bytes: Uint8Array, start: number, end: number): void {
    switch (type) {
      case Frontend.Query:
        this.portals.delete('');
        return this.ask({ kind: 'query' }, readQuery(bytes, start, end), []);
      case Frontend.Parse: {
        const { name, query } = readParse(bytes, start, end);
        if (this.statements.size >= CONSOLE_NAMES_MAX)
          throw new ProtocolViolation('client', 'too many prepared statements');
        this.statements.set(name, query);
        return this.client.send(buildParseComplete());
      }
      case Frontend.Bind:
        return this.bind(readBind(bytes, start, end));
      case Frontend.Describe:
        return this.describe(readDescribe(bytes, start, end));
      case Frontend.Execute:
        return this.execute(readExecute(bytes, start, end));
      case Frontend.Close: {
        const { target, name } = readClose(bytes, start, end);
        (target === 'S' ? this.statements : this.portals).delete(name);
        return this.client.send(buildCloseComplete());
      }
      case Frontend.Sync:
        this.skipping = false;
        return this.ready();
      case Frontend.Flush:
      case Frontend.CopyData:
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        return;
      default:
        return this.refuse(type, UNSUPPORTED);
    }
  }

  private bind(bind: ReturnType<typeof readBind>): void {
    const text = this.statements.get(bind.statement);
    if (text === undefined) return this.refuse(Frontend.Bind, noSuchStatement(bind.statement));
    if (bind.parameterFormats.some((format) => format !== 0)) return this.refuse(Frontend.Bind, BINARY);
    if (this.portals.size >= CONSOLE_NAMES_MAX) throw new ProtocolViolation('client', 'too many portals');
    const parameters = bind.parameters.map((value) =>
      value === null ? null : Buffer.from(value).toString(),
    );
    const formats = [...bind.resultFormats];
    this.portals.set(bind.portal, { text, parameters, formats, result: null, sent: 0 });
    this.client.send(buildBindComplete());
  }

  private describe({ target, name }: ReturnType<typeof readDescribe>): void {
    if (target === 'S') {
      const text = this.statements.get(name);
      if (text === undefined) return this.refuse(Frontend.Describe, noSuchStatement(name));
      return this.ask({ kind: 'describe', formats: null }, text, []);
    }
    const portal = this.portals.get(name);
    if (portal === undefined) return this.refuse(Frontend.Describe, noSuchPortal(name));
    this.ask({ kind: 'describe', formats: portal.formats }, portal.text, portal.parameters);
  }

  private execute({ portal: name, maxRows }: ReturnType<typeof readExecute>): void {
    const portal = this.portals.get(name);
    if (portal === undefined) return this.refuse(Frontend.Execute, noSuchPortal(name));
    if (portal.result !== null) return this.sendRows(portal, portal.result, maxRows);
    this.ask({ kind: 'execute', portal, maxRows }, portal.text, portal.parameters);
  }

  private ask(waiting: Waiting, text: string, parameters: readonly (string | null)[]): void {
    this.waiting = waiting;
    this.client.ask({ text, parameters, want: waiting.kind === 'describe' ? 'describe' : 'execute' });
  }

  /** The control plane's answer to what was asked last. */
  answered(answer: ConsoleAnswer): void {
    const { waiting } = this;
    this.waiting = null;
    if (waiting?.kind === 'query') this.answerQuery(answer);
    else if (waiting?.kind === 'describe') this.answerDescribe(answer, waiting.formats);
    else if (waiting?.kind === 'execute') this.answerExecute(answer, waiting.portal, waiting.maxRows);
    this.client.resume();
  }

  private answerQuery({ results, error }: ConsoleAnswer): void {
    for (const result of results) {
      this.notices(result);
      if (result.columns !== null) {
        this.client.send(rowDescription(result.columns, []));
        for (const row of rowsOf(result, [])) this.client.send(row);
      }
      this.client.send(result.tag === '' ? buildEmptyQueryResponse() : buildCommandComplete(result.tag));
    }
    if (error !== null) this.client.send(buildErrorResponse(error));
    this.ready();
  }

  private answerDescribe(answer: ConsoleAnswer, formats: Formats | null): void {
    if (answer.error !== null) return this.refuse(Frontend.Describe, answer.error);
    if (formats === null) {
      this.client.send(buildParameterDescription(new Array(answer.parameterCount).fill(TEXT_OID)));
    }
    const columns = answer.results[0]?.columns ?? null;
    this.client.send(columns === null ? buildNoData() : rowDescription(columns, formats ?? []));
  }

  private answerExecute(answer: ConsoleAnswer, portal: Portal, maxRows: number): void {
    const result = answer.results[0];
    if (result !== undefined) this.notices(result);
    if (answer.error !== null) return this.refuse(Frontend.Execute, answer.error);
    if (result === undefined) return this.client.send(buildEmptyQueryResponse());
    portal.result = result;
    this.sendRows(portal, result, maxRows);
  }

  private sendRows(portal: Portal, result: ConsoleResult, maxRows: number): void {
    const last = maxRows > 0 ? Math.min(result.rows.length, portal.sent + maxRows) : result.rows.length;
    const rows = { ...result, rows: result.rows.slice(portal.sent, last) };
    for (const row of rowsOf(rows, portal.formats)) this.client.send(row);
    portal.sent = last;
    if (last < result.rows.length) return this.client.send(PORTAL_SUSPENDED);
    this.client.send(result.tag === '' ? buildEmptyQueryResponse() : buildCommandComplete(result.tag));
  }

  private notices({ notices }: ConsoleResult): void {
    for (const message of notices) {
      this.client.send(
        buildNoticeResponse({ severity: 'NOTICE', code: SqlState.successful_completion, message }),
      );
    }
  }

  private refuse(type: number, error: ErrorFields): void {
    this.client.send(buildErrorResponse(error));
    if (type === Frontend.Query || type === Frontend.FunctionCall) this.ready();
    else this.skipping = true;
  }

  private ready(): void {
    this.client.send(buildReadyForQuery(Backend.Idle));
  }
}

const PORTAL_SUSPENDED = Uint8Array.of(Backend.PortalSuspended, 0, 0, 0, 4);

const SYNTAX: ErrorFields = { severity: 'ERROR', code: SqlState.syntax_error, message: '' };
const UNSUPPORTED: ErrorFields = {
  ...SYNTAX,
  code: SqlState.feature_not_supported,
  message: 'the admin console takes queries only',
};
const BINARY: ErrorFields = {
  ...SYNTAX,
  code: SqlState.feature_not_supported,
  message: 'the admin console takes parameters as text only',
};

function noSuchStatement(name: string): ErrorFields {
  const code = SqlState.invalid_sql_statement_name;
  return { severity: 'ERROR', code, message: `prepared statement "${name}" does not exist` };
}

function noSuchPortal(name: string): ErrorFields {
  return {
    severity: 'ERROR',
    code: SqlState.invalid_cursor_name,
    message: `portal "${name}" does not exist`,
  };
}
