/** Becomes another user of the system. */
import { execFileSync } from 'node:child_process';
import { StartError } from './listen-error.js';

/**
 * Gives up root's rights for those of a user; nothing happens when the process has that user already.
 * @throws {StartError} when there is no such user, or this process may not become it
 */
export function becomeUser(name: string): void {
  const uid = askId(name, '-u');
  if (process.getuid?.() === uid) return;
  const gid = askId(name, '-g');
  try {
    // In this order: without root's rights the groups could not be changed any more.
    (process as InitGroups).initgroups(name, gid);
    process.setgid!(gid);
    process.setuid!(uid);
  } catch (error) {
    throw new StartError(`could not change to user "${name}": ${(error as Error).message}`, { cause: error });
  }
}

/** Missing in the types. */
type InitGroups = NodeJS.Process & { initgroups(user: string, group: number): void };

/** @throws {StartError} unless the process has given up root's rights */
export function refuseRoot(program: string): void {
  if (process.getuid?.() === 0) throw new StartError(`${program} should not run as root`);
}

function askId(name: string, what: '-u' | '-g'): number {
  try {
    return Number(
      execFileSync('id', [what, '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch (error) {
    throw new StartError(`could not find user "${name}"`, { cause: error });
  }
}
