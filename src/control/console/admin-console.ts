/** Carries out the console's statements: looks by snapshots, and acts through the operator. */
import { describeSettings, type SettingChange } from '../../config/change-setting.js';
import type { GatewayCommand } from '../../core/command.js';
import type { ConsoleAnswer, ConsoleQuestion, ConsoleResult, ConsoleUser } from '../../core/console.js';
import type { Snapshot, SnapshotDetail } from '../../core/snapshot.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { RunningGateway } from '../gateway-process.js';
import type { ProcessLog } from '../logging.js';
import { memoryUse } from '../memory-use.js';
import type { Shutdown } from '../operator.js';
import type { ReloadOutcome } from '../reload.js';
import { PGBOUNCER_VERSION } from '../version.js';
import { ConsoleError } from './console-error.js';
import { HELP } from './help.js';
import { ROUTE_COLUMNS, routeRow } from './route-table.js';
import { countParameters, readStatements, SESSION_PARAMETERS, type Statement } from './statement.js';
import { NO_PERIOD, periodBetween, type StatsPeriod } from './stats-period.js';
import { columns, type Facts } from './table.js';

/** What the console may do to the process. */
export interface ConsoleOperator {
  readonly gateway: RunningGateway;
  readonly log: Pick<ProcessLog, 'logger'>;
  reload(): Promise<ReloadOutcome>;
  set(name: string, value: string): Promise<SettingChange>;
  shutDown(how: Shutdown): void;
}

/** The longest that a timer of Node's can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** As the log says it. */
const SHUTDOWN_FORMS = { now: '', servers: ' WAIT_FOR_SERVERS', clients: ' WAIT_FOR_CLIENTS' } as const;

const ADMIN_NEEDED = 'admin access needed';
const NOTHING = Object.freeze({ columns: null, rows: [], notices: [] });
/** PgBouncer's notice. */
const TLS_UNAPPLIED = 'TLS settings could not be applied, still using old configuration';
/** PgBouncer's, for a reload that failed: config_file_error. */
const CONFIG_FILE_ERROR = 'F0000';

/** The console of a gateway, open from now on. */
export function openConsole(operator: ConsoleOperator): AdminConsole {
  const opened = new AdminConsole(operator);
  opened.open();
  return opened;
}

export class AdminConsole {
  readonly #operator: ConsoleOperator;
  #earlier: Snapshot | null = null;
  #period: StatsPeriod = NO_PERIOD;
  #timer: NodeJS.Timeout | undefined;

  constructor(operator: ConsoleOperator) {
    this.#operator = operator;
  }

  /** Takes the averages of each `stats_period` from now on. */
  open(): void {
    void this.#endPeriod();
    this.#operator.gateway.answerConsole((question) => this.answer(question));
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #endPeriod(): Promise<void> {
    try {
      const now = await this.#operator.gateway.snapshot();
      if (this.#earlier !== null) this.#period = periodBetween(this.#earlier, now);
      this.#earlier = now;
      const { stats_period } = this.#operator.gateway.config.values;
      this.#timer = setTimeout(() => void this.#endPeriod(), Math.min(stats_period * 1000, TIMER_MS_MAX));
      this.#timer.unref();
    } catch {
      // The gateway has ended.
    }
  }

  /** Answers what a client of the console asks. Never rejects. */
  async answer({ user, text, parameters, want }: ConsoleQuestion): Promise<ConsoleAnswer> {
    const results: ConsoleResult[] = [];
    let error: ErrorFields | null = null;
    let parameterCount = 0;
    try {
      parameterCount = countParameters(text);
      for (const statement of readStatements(text, parameters)) {
        results.push(want === 'describe' ? describe(statement) : await this.#execute(statement, user));
      }
    } catch (problem) {
      error = toError(problem);
    }
    return { results, error, parameterCount };
  }

  async #execute(statement: Statement, user: ConsoleUser): Promise<ConsoleResult> {
    switch (statement.kind) {
      case 'show':
        return this.#show(statement, user);
      case 'route': {
        const rows = [await routeRow(this.#operator.gateway, statement.database, statement.sql)];
        return { columns: ROUTE_COLUMNS, rows, tag: 'SHOW', notices: [] };
      }
      case 'help':
      case 'parameter':
      case 'select':
      case 'nothing':
      case 'catalogue':
        return describe(statement);
      default:
        if (!user.isAdmin) throw new ConsoleError(ADMIN_NEEDED);
        return this.#act(statement);
    }
  }

  async #show(statement: Extract<Statement, { kind: 'show' }>, user: ConsoleUser): Promise<ConsoleResult> {
    const { table, filter } = statement;
    if (table.adminOnly && !user.isAdmin) {
      throw new ConsoleError(ADMIN_NEEDED);
    }
    const facts = await this.#facts(table.detail ?? 'figures');
    return { columns: table.columns, rows: filter.apply(table.rows(facts)), tag: 'SHOW', notices: [] };
  }

  async #facts(detail: SnapshotDetail): Promise<Facts> {
    const { gateway } = this.#operator;
    const snapshot = await gateway.snapshot(detail);
    return {
      snapshot,
      settings: gateway.settings,
      config: describeSettings(gateway.config),
      version: PGBOUNCER_VERSION,
      listenPort: gateway.config.values.listen_port,
      listeningSockets: gateway.listeningSockets,
      cluster: gateway.cluster,
      events: gateway.events,
      memory: memoryUse(),
      period: this.#period,
      takenAt: new Date(),
    };
  }

  async #act(statement: Statement): Promise<ConsoleResult> {
    switch (statement.kind) {
      case 'set':
        return this.#set(statement.name, statement.value);
      case 'killClient':
        return this.#command({ kind: 'killClient', client: clientId(statement.client) }, 'KILL_CLIENT');
      case 'shutdown':
        this.#operator.log.logger.info(`SHUTDOWN${SHUTDOWN_FORMS[statement.wait ?? 'now']} command issued`);
        this.#operator.shutDown(statement.wait ?? 'now');
        return { ...NOTHING, tag: 'SHUTDOWN' };
      case 'command':
        if (statement.command === 'RELOAD') return this.#reload();
        return this.#command(gatewayCommand(statement), statement.command);
      default:
        throw new Error(`not a command: ${statement.kind}`);
    }
  }

  async #command(command: GatewayCommand, tag: string): Promise<ConsoleResult> {
    const problem = await this.#operator.gateway.execute(command);
    if (problem !== null) throw new ConsoleError(problem.message, { sqlstate: problem.code });
    return { ...NOTHING, tag };
  }

  async #reload(): Promise<ConsoleResult> {
    const { done, problems } = await this.#operator.reload();
    if (done) return { ...NOTHING, tag: 'RELOAD' };
    throw new ConsoleError('RELOAD failed, see logs for additional details', {
      sqlstate: CONFIG_FILE_ERROR,
      detail: problems.join('\n'),
    });
  }

  async #set(name: string, value: string): Promise<ConsoleResult> {
    const change = await this.#operator.set(name, value);
    // As in PgBouncer, where a SET of what only a start changes does nothing.
    if (change.kind === 'startOnly') return { ...NOTHING, tag: 'SET', notices: [change.message] };
    if (change.kind !== 'changed') throw new ConsoleError('SET failed', { hint: change.message });
    const { unappliedTls } = change.config;
    const notices = unappliedTls.length === 0 ? [] : [`${TLS_UNAPPLIED}: ${unappliedTls.join('; ')}`];
    return { ...NOTHING, tag: 'SET', notices };
  }
}

/** What a statement returns, without carrying it out; whole for those that do nothing. */
function describe(statement: Statement): ConsoleResult {
  switch (statement.kind) {
    case 'show':
      return { columns: statement.table.columns, rows: [], tag: 'SHOW', notices: [] };
    case 'route':
      return { columns: ROUTE_COLUMNS, rows: [], tag: 'SHOW', notices: [] };
    case 'help':
      return { ...NOTHING, tag: 'SHOW', notices: [HELP] };
    case 'parameter': {
      const value = SESSION_PARAMETERS[statement.name] || PGBOUNCER_VERSION;
      return { columns: columns(statement.name), rows: [[value]], tag: 'SHOW', notices: [] };
    }
    case 'select': {
      const column = { name: '?column?', type: statement.type };
      return { columns: [column], rows: [[statement.value]], tag: 'SELECT 1', notices: [] };
    }
    case 'catalogue':
      return { columns: [], rows: [], tag: 'SELECT 0', notices: [] };
    case 'nothing':
      return { ...NOTHING, tag: statement.tag };
    default:
      return { ...NOTHING, tag: 'OK' };
  }
}

function gatewayCommand(statement: Extract<Statement, { kind: 'command' }>): GatewayCommand {
  const database = 'database' in statement ? statement.database : null;
  if (database !== null && (database === 'pgbouncer' || database === 'sluice')) {
    throw new ConsoleError(`cannot ${statement.command.toLowerCase()} admin db: ${database}`);
  }
  switch (statement.command) {
    case 'DISABLE':
    case 'ENABLE':
      if (database === null) throw new ConsoleError('a database is required');
      return { kind: statement.command === 'DISABLE' ? 'disable' : 'enable', database };
    case 'SUSPEND':
      return { kind: 'suspend' };
    case 'WAIT_CLOSE':
      return { kind: 'waitClose', database };
    default:
      return { kind: KINDS[statement.command as keyof typeof KINDS], database };
  }
}

const KINDS = { PAUSE: 'pause', RESUME: 'resume', RECONNECT: 'reconnect', KILL: 'kill' } as const;

/** As SHOW CLIENTS shows it, in its column `id` or `ptr`. */
function clientId(text: string): number {
  const id = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(id)) throw new ConsoleError('invalid client pointer supplied');
  return id;
}

function toError(problem: unknown): ErrorFields {
  if (problem instanceof ConsoleError) {
    const { message, sqlstate: code, detail, hint } = problem;
    return {
      severity: 'ERROR',
      code,
      message,
      ...(detail !== null && { detail }),
      ...(hint !== null && { hint }),
    };
  }
  return { severity: 'ERROR', code: SqlState.internal_error, message: (problem as Error).message };
}
