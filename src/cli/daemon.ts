/** Runs this command line again in the background, in a session of its own. */
import { spawn } from 'node:child_process';

/** Set in the environment of the process in the background. */
const DAEMON_MARK = 'SLUICE_DAEMON';

/** Whether this is the process in the background. */
export function isDaemon(): boolean {
  return process.env[DAEMON_MARK] === '1' && process.send !== undefined;
}

/**
 * Starts the process in the background and waits until it says that it is ready.
 * Resolves with the exit code for this one: 0, or 1 after everything that the other one said.
 */
export async function runInBackground(argv: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...argv], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, [DAEMON_MARK]: '1' },
  });
  child.stderr!.pipe(process.stderr, { end: false });
  const isReady = await new Promise<boolean>((resolve) => {
    child.once('message', () => resolve(true));
    child.once('close', () => resolve(false));
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(false);
    });
  });
  child.stderr!.destroy();
  if (child.connected) child.disconnect();
  child.unref();
  return isReady ? 0 : 1;
}

/** Tells the process in the foreground that it may end. From now on nobody reads what is written to standard error. */
export function becomeDaemon(): void {
  delete process.env[DAEMON_MARK];
  process.stderr.on('error', () => {
    // Nobody is there.
  });
  process.once('disconnect', () => {
    // Only so that the end of the channel isn't a surprise.
  });
  process.send!('ready', () => process.disconnect?.());
}
