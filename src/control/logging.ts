/** The process's log: readable lines on a terminal, JSON lines for machines, or PgBouncer's lines. */
import { type Logger, pino } from 'pino';
import type { ConfigValues } from '../config/schema.js';
import type { Report, ReportSubject } from '../core/io.js';
import { LogFile } from './log-file.js';
import { formatPgbouncerLine, formatPgbouncerMessage, type LogRecord } from './pgbouncer-log.js';
import { SystemLog } from './system-log.js';

/** Least severe level that is written. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto`: pretty on a terminal, JSON otherwise. */
export const LOG_FORMATS = ['auto', 'pretty', 'json', 'pgbouncer'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export type { Logger } from 'pino';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Whether standard output is a terminal. */
  readonly terminal: boolean;
  /** Whether colours are wanted there. */
  readonly colours: boolean;
  /** Nothing goes to the terminal, only to the places that the configuration names. */
  readonly quiet?: boolean;
}

/** The settings that concern the log. */
export type LogSettings = Pick<
  ConfigValues,
  'logfile' | 'syslog' | 'syslog_ident' | 'syslog_facility' | 'verbose'
>;

/** A logger, and the places that its lines go to. */
export interface ProcessLog {
  readonly logger: Logger;
  /**
   * Follows the settings: opens files again (they may have been rotated), and writes details with `verbose`.
   * @throws {StartError} when the file can't be opened; then the places stay as they were
   */
  configure(settings: LogSettings): void;
  /** Writes what is left and lets go of files. */
  close(): void;
}

/** No code of ours logs these; this is the second lock on the door. */
const SECRET_FACTS = ['password', 'secret', 'verifier', '*.password', '*.secret', '*.verifier'];

/** What a line of pino's holds, beside its facts. */
interface PinoLine {
  readonly level: number;
  readonly msg?: string;
  readonly subject?: ReportSubject;
  readonly time?: unknown;
}

/** The process's log: writes to the terminal (unless quiet) and, once it is configured, to a file and the system's log. */
export async function openLog(options: LogOptions): Promise<ProcessLog> {
  outliveTerminals();
  const settings = { level: options.level, base: null, redact: SECRET_FACTS };
  if (options.format === 'pgbouncer') {
    const places = new LogPlaces(options.quiet ? null : writePgbouncerLine, true, options.level);
    return places.with(pino(settings, places));
  }
  const pretty = options.format === 'pretty' || (options.format === 'auto' && options.terminal);
  const terminal = options.quiet ? null : pretty ? await prettyTerminal(options.colours) : writeJsonLine;
  const places = new LogPlaces(terminal, false, options.level);
  return places.with(pino({ ...settings, timestamp: pino.stdTimeFunctions.isoTime }, places));
}

/** Writes what the data plane reports. */
export function logReport(logger: Logger, { level, message, facts, subject }: Report): void {
  logger[level](subject === undefined ? (facts ?? {}) : { ...facts, subject }, message);
}

/** One line for the terminal: pino's JSON, and what it says. */
type TerminalWriter = (line: string, record: LogRecord) => void;

const writeJsonLine: TerminalWriter = (line) => {
  process.stdout.write(withLevelName(line));
};

const writePgbouncerLine: TerminalWriter = (_, record) => {
  process.stderr.write(`${formatPgbouncerLine(record, new Date(), process.pid)}\n`);
};

async function prettyTerminal(colours: boolean): Promise<TerminalWriter> {
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({ colorize: colours, translateTime: 'SYS:HH:MM:ss.l', singleLine: true });
  return (line) => {
    process.stdout.write(pretty(line));
  };
}

/** What can't be written is lost: a full disk must not end who serves, and there is no other place to say so. */
function outliveTerminals(): void {
  // In place of what holds for commands that print once, and fail if they can't.
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners('error').on('error', () => {});
}

/** pino puts the level first, as a number: machines get its name. */
function withLevelName(line: string): string {
  return line.replace(/^\{"level":(\d+)/, (_, level) => `{"level":"${pino.levels.labels[Number(level)]}"`);
}

/** Where lines go: pino's destination. */
class LogPlaces {
  readonly #terminal: TerminalWriter | null;
  readonly #pgbouncer: boolean;
  readonly #level: LogLevel;
  #file: LogFile | null = null;
  #system: SystemLog | null = null;

  constructor(terminal: TerminalWriter | null, pgbouncer: boolean, level: LogLevel) {
    this.#terminal = terminal;
    this.#pgbouncer = pgbouncer;
    this.#level = level;
  }

  with(logger: Logger): ProcessLog {
    return {
      logger,
      configure: (settings) => {
        this.#configureFile(settings.logfile);
        this.#configureSystem(settings, logger);
        logger.level = settings.verbose > 0 && this.#level === 'info' ? 'debug' : this.#level;
      },
      close: () => {
        this.#file?.close();
        this.#file = null;
        this.#system?.close();
        this.#system = null;
      },
    };
  }

  /** Called by pino, once a line. */
  write(line: string): void {
    const { level, msg, subject, time: _, ...facts } = JSON.parse(line) as PinoLine;
    const record: LogRecord = { level, message: msg ?? '', facts, ...(subject && { subject }) };
    this.#terminal?.(line, record);
    this.#file?.write(
      this.#pgbouncer ? `${formatPgbouncerLine(record, new Date(), process.pid)}\n` : withLevelName(line),
    );
    this.#system?.write(level, formatPgbouncerMessage(record));
  }

  #configureFile(path: string): void {
    if (path !== '' && path === this.#file?.path) return this.#file.reopen();
    const file = path === '' ? null : new LogFile(path);
    this.#file?.close();
    this.#file = file;
  }

  #configureSystem(
    { syslog, syslog_ident: ident, syslog_facility: facility }: LogSettings,
    logger: Logger,
  ): void {
    const { options } = this.#system ?? {};
    if (syslog && options?.ident === ident && options.facility === facility) return;
    this.#system?.close();
    this.#system = !syslog
      ? null
      : new SystemLog({ ident, facility }, (reason) => {
          this.#system = null;
          logger.warn(`cannot write to the system's log by the program logger: ${reason}`);
        });
  }
}
