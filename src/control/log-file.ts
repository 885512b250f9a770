/** A log file that may be rotated: it is written at once, and opened again when somebody says so. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { StartError } from './listen-error.js';

export class LogFile {
  readonly path: string;
  #descriptor: number;

  /** @throws {StartError} when the file can't be opened for appending */
  constructor(path: string) {
    this.path = path;
    this.#descriptor = open(path);
  }

  write(text: string): void {
    try {
      writeSync(this.#descriptor, text);
    } catch {
      // A full disk must not end the gateway, and there is no other place to say so.
    }
  }

  /**
   * Goes on in a new file of the same name, after the old one was moved away.
   * @throws {StartError}; then the old file stays in use
   */
  reopen(): void {
    const descriptor = open(this.path);
    this.close();
    this.#descriptor = descriptor;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'a', 0o644);
  } catch (error) {
    throw new StartError(`Cannot open logfile: '${path}': ${(error as Error).message}`, { cause: error });
  }
}
