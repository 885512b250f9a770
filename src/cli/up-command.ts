/** `sluice up` as the operator meets it: the question before deleting, the signals, the exit code. */
import { stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline/promises';
import { AgentError } from '../agent/agent-error.js';
import { existingNodes, locate } from '../agent/demo-folder.js';
import { startUpGateway } from './up-gateway.js';
import { runUp, type UpOptions } from './up-session.js';
import { failureText } from './up-texts.js';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Below this, a repeated signal is the same keystroke, delivered twice (a package runner passes it on, too). */
const SAME_KEYSTROKE_MS = 1_000;
const PARENT_CHECK_MS = 500;

/** The options as commander gives them. */
export interface UpFlags {
  readonly data?: string;
  readonly port: number;
  readonly pgPort?: number;
  readonly pgBin?: string;
  readonly standbys: number;
  readonly reset?: true;
  readonly yes?: true;
}

/** Runs until a signal or a failure ends it; returns the exit code. */
export async function up(flags: UpFlags): Promise<number> {
  // When the terminal hangs up, or the reader of a pipe goes away, what remains to be said has no reader. That must
  // not end us before the cluster is stopped.
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners('error').on('error', () => {});
  const options: UpOptions = {
    folder: flags.data ?? null,
    standbys: flags.standbys,
    port: flags.port,
    firstPostgresPort: flags.pgPort ?? null,
    binDirectory: flags.pgBin ?? null,
    reset: flags.reset === true,
  };
  try {
    if (options.reset && flags.yes !== true && !(await confirmReset(options.folder))) return 1;
  } catch (error) {
    process.stderr.write(failureText(error));
    return 1;
  }
  const { interrupt, onImpatience, hasHungUp } = listenToSignals();
  const code = await runUp(options, {
    output: process.stdout,
    errors: process.stderr,
    startGateway: startUpGateway,
    interrupt,
    onImpatience,
  });
  if (hasHungUp()) endByHangup();
  return code;
}

/** The first signal asks for an orderly stop; a later one, by somebody who waits, for an immediate one. */
function listenToSignals() {
  const controller = new AbortController();
  let hurry = () => {};
  let firstAt = 0;
  let hungUp = false;
  const handle = (signal: NodeJS.Signals) => {
    hungUp ||= signal === 'SIGHUP';
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort(new AgentError(`interrupted by ${signal}`));
    } else if (performance.now() - firstAt > SAME_KEYSTROKE_MS) {
      hurry();
    }
  };
  for (const signal of STOP_SIGNALS) process.on(signal, handle);
  watchPackageRunner(() => handle('SIGTERM'));
  // A mistake of ours must not leave a cluster running with nobody to stop it.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      process.stderr.write(failureText(error));
      process.exitCode = 1;
      controller.abort(error);
    });
  }
  return {
    interrupt: controller.signal,
    hasHungUp: () => hungUp,
    onImpatience: (action: () => void) => {
      hurry = action;
    },
  };
}

/**
 * Ends the process as a hangup does by default. An ordinary exit would have Node restore the settings of a terminal that
 * is gone, and Node aborts when that fails.
 */
function endByHangup(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

/**
 * `npm start` runs us under a shell. A signal to npm ends that shell, which doesn't pass it on: the loss of our parent
 * is then all that we notice. (Started without npm, we may well outlive our parent.)
 */
function watchPackageRunner(onLost: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onLost();
  }, PARENT_CHECK_MS).unref();
}

async function confirmReset(folder: string | null): Promise<boolean> {
  const { path } = await locate(folder);
  const nodes = await existingNodes(path).catch(() => []);
  if (nodes.length === 0) return true;
  if (!stdin.isTTY || !stdout.isTTY) {
    throw new AgentError(
      `--reset would delete the databases in ${path}, and there is no terminal to ask on`,
      ['Give --yes as well, if that is what you want.'],
    );
  }
  const prompt = createInterface({ input: stdin, output: stdout });
  const answer = await prompt.question(`This deletes the databases in ${path}. Type yes to go on: `);
  prompt.close();
  return answer.trim().toLowerCase() === 'yes';
}
