/** The system's log. Node.js has no way to it (a datagram to /dev/log), so its lines go through the program `logger`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { syslogSeverity } from './pgbouncer-log.js';

/** What identifies lines in the system's log. */
export interface SystemLogOptions {
  readonly ident: string;
  readonly facility: string;
}

export class SystemLog {
  readonly options: SystemLogOptions;
  readonly #logger: ChildProcess;

  /** `onFailure` is called once, when there is no `logger` or it has ended; then lines are dropped. */
  constructor(options: SystemLogOptions, onFailure: (reason: string) => void) {
    this.options = options;
    this.#logger = spawn(
      'logger',
      ['--prio-prefix', '-t', `${options.ident}[${process.pid}]`, '-p', `${options.facility}.info`],
      { stdio: ['pipe', 'ignore', 'ignore'] },
    );
    this.#logger.on('error', (error) => onFailure(error.message));
    this.#logger.on('exit', (code) => {
      if (code) onFailure(`logger ended with code ${code}`);
    });
    this.#logger.stdin!.on('error', () => {
      // Told by its exit.
    });
    this.#logger.unref();
  }

  write(level: number, text: string): void {
    if (this.#logger.stdin!.writable) this.#logger.stdin!.write(`<${syslogSeverity(level)}>${text}\n`);
  }

  close(): void {
    this.#logger.stdin!.end();
  }
}
