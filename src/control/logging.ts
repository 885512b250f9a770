/** The process's log: pino, as readable lines on a terminal and as JSON lines everywhere else. */
import { type Logger, pino } from 'pino';
import type { Report } from '../core/io.js';

/** Least severe level that is written. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto`: pretty on a terminal, JSON otherwise. */
export const LOG_FORMATS = ['auto', 'pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export type { Logger } from 'pino';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Whether standard output is a terminal. */
  readonly terminal: boolean;
  /** Whether colours are wanted there. */
  readonly colours: boolean;
}

/** No code of ours logs these; this is the second lock on the door. */
const SECRET_FACTS = ['password', 'secret', 'verifier', '*.password', '*.secret', '*.verifier'];

/** A logger that writes to standard output. */
export async function createLogger(options: LogOptions): Promise<Logger> {
  const settings = { level: options.level, base: null, redact: SECRET_FACTS };
  const pretty = options.format === 'pretty' || (options.format === 'auto' && options.terminal);
  if (!pretty) {
    const formatters = { level: (level: string) => ({ level }) };
    return pino({ ...settings, formatters, timestamp: pino.stdTimeFunctions.isoTime });
  }
  const { build } = await import('pino-pretty');
  // In this thread: a worker would lose the last lines when the process ends.
  const stream = build({
    colorize: options.colours,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    sync: true,
  });
  return pino(settings, stream);
}

/** Writes what the data plane reports. */
export function logReport(logger: Logger, report: Report): void {
  logger[report.level](report.facts ?? {}, report.message);
}
