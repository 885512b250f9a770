/**
 * Tells the service manager (systemd) how the process stands: the protocol of sd_notify(3), by the environment that it
 * gives its services. Without NOTIFY_SOCKET nothing is said.
 */
import { execFile } from 'node:child_process';
import { loadAddon } from '../reactor/load-addon.js';
import type { Logger } from './logging.js';

/** What the manager puts into the environment. */
export interface ManagerEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined;
  /** In us: how long the manager waits for a sign of life. */
  readonly WATCHDOG_USEC?: string | undefined;
  /** The process that it is meant for. */
  readonly WATCHDOG_PID?: string | undefined;
}

/** Sends one message, and says why it could not; null: it was sent. */
export type SendNotice = (socket: string, message: string) => Promise<string | null>;

/** A fork each time; only where there is no addon. The unit then needs NotifyAccess=all. */
const PROGRAM = 'systemd-notify';

export class ServiceManager {
  readonly #socket: string;
  readonly #watchdogMs: number;
  readonly #send: SendNotice;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  constructor(logger: Logger, environment: ManagerEnvironment = process.env, send = sendNotice) {
    this.#logger = logger;
    this.#send = send;
    this.#socket = environment.NOTIFY_SOCKET ?? '';
    const isMeant =
      environment.WATCHDOG_PID === undefined || Number(environment.WATCHDOG_PID) === process.pid;
    this.#watchdogMs = isMeant ? Number(environment.WATCHDOG_USEC ?? 0) / 1000 : 0;
  }

  /** Clients are accepted; a reload is over. */
  ready(status: string): Promise<void> {
    return this.#notify(`READY=1\nSTATUS=${oneLine(status)}`);
  }

  /** The configuration is being read again; {@link ready} ends it. The manager matches it by the clock. */
  reloading(): Promise<void> {
    return this.#notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(status: string): Promise<void> {
    return this.#notify(`STOPPING=1\nSTATUS=${oneLine(status)}`);
  }

  /**
   * Gives signs of life twice as often as the manager asks for, as long as `isAlive` says yes; nothing where it
   * doesn't ask.
   */
  watch(isAlive: () => Promise<boolean>): void {
    if (this.#socket === '' || !(this.#watchdogMs > 0)) return;
    const beat = async (): Promise<void> => {
      if (await isAlive()) await this.#notify('WATCHDOG=1');
      else
        this.#logger.error('no sign of life is given to the service manager: the data plane does not answer');
    };
    this.#timer = setInterval(() => void beat(), Math.max(1, this.#watchdogMs / 2));
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #notify(message: string): Promise<void> {
    if (this.#socket === '') return;
    const problem = await this.#send(this.#socket, message);
    if (problem === null || this.#failed) return;
    this.#failed = true;
    this.#logger.warn(`the service manager cannot be told how this process stands: ${problem}`);
  }
}

/** By the addon, or by the program systemd-notify. */
export const sendNotice: SendNotice = async (socket, message) => {
  const loaded = loadAddon();
  if ('addon' in loaded) {
    const error = loaded.addon.notify(socket, message);
    return error === 0 ? null : `${socket}: system error ${-error}`;
  }
  return new Promise((resolve) => {
    execFile(PROGRAM, ['--no-block', ...message.split('\n')], { timeout: 5000 }, (error) => {
      resolve(error === null ? null : `${loaded.reason}, and ${PROGRAM} failed: ${error.message}`);
    });
  });
};

function oneLine(text: string): string {
  return text.replaceAll('\n', ' ');
}
