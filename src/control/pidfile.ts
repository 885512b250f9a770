/** A file with the number of the process, so that scripts can find it, and so that it isn't started twice. */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { StartError } from './listen-error.js';

/**
 * Makes sure that the file names no running process; a stale one is removed. Returns whether there was one.
 * @throws {StartError}
 */
export function clearPidfile(path: string): boolean {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new StartError(`could not read pidfile '${path}': ${(error as Error).message}`, { cause: error });
  }
  const pid = Number.parseInt(text, 10);
  // A file without a number may be one that another process is about to write.
  if (!(pid > 0) || isAlive(pid)) {
    throw new StartError(`pidfile '${path}' exists, another instance running?`);
  }
  unlinkSync(path);
  return true;
}

/**
 * Writes the number of this process, and removes the file again when the process ends. `replace`: in the place of that of
 * the process that this one takes over from.
 * @throws {StartError} when the file exists, or can't be written
 */
export function writePidfile(
  path: string,
  { replace }: { readonly replace: boolean } = { replace: false },
): void {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: replace ? 'w' : 'wx', mode: 0o644 });
  } catch (error) {
    throw new StartError(`could not open pidfile '${path}': ${(error as Error).message}`, { cause: error });
  }
  process.once('exit', () => removeOwnPidfile(path));
}

function removeOwnPidfile(path: string): void {
  try {
    // Another process may have taken over meanwhile.
    if (Number.parseInt(readFileSync(path, 'utf8'), 10) === process.pid) unlinkSync(path);
  } catch {
    // It is gone already.
  }
}

/** Whether there is such a process, which may belong to somebody else. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
