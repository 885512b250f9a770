/**
 * What an operator may ask of the whole process: signals and the console ask in the same words, and know of each
 * other's shutdowns.
 */
import { changeSetting, type SettingChange } from '../config/change-setting.js';
import type { GatewayCommand } from '../core/command.js';
import type { RunningGateway } from './gateway-process.js';
import type { ProcessLog } from './logging.js';
import { type ReloadOutcome, rereadGateway } from './reload.js';

/**
 * How a shutdown begins: at once, when server connections are released, or when clients have left (of whom
 * those that were accepted before a `successor` took over may still log in).
 */
export type Shutdown = 'now' | 'servers' | 'clients' | 'successor';

/** What the log says when a shutdown has come to its end. */
const ENDINGS = Object.freeze({
  servers: 'server connections dropped, exiting',
  clients: 'client connections dropped, exiting',
  successor: 'client connections dropped, exiting',
});

export class Operator {
  readonly gateway: RunningGateway;
  readonly log: ProcessLog;
  /** Resolves with the exit code of the process when a shutdown has come to its end. */
  readonly finished: Promise<number>;
  #finish: (code: number) => void = () => {};
  #shuttingDown = false;
  /** Changes of the configuration, one after the other: each begins from what the one before has left. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(gateway: RunningGateway, log: ProcessLog) {
    this.gateway = gateway;
    this.log = log;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get isShuttingDown(): boolean {
    return this.#shuttingDown;
  }

  /** From now on the gateway counts as not ready. Clients notice nothing. */
  announceEnd(): void {
    this.#shuttingDown = true;
  }

  /** Reads the configuration again. Where there are mistakes, which are in the log too, nothing has changed. Never throws. */
  reload(): Promise<ReloadOutcome> {
    return this.#inTurn(() => rereadGateway(this.gateway, this.log));
  }

  /** Changes one setting until the next reload. Whoever asked says what became of it. */
  set(name: string, value: string): Promise<SettingChange> {
    return this.#inTurn(async () => {
      const change = await changeSetting(this.gateway.config, name, value);
      if (change.kind === 'changed') {
        this.log.configure(change.config.values);
        await this.gateway.reload(change.config);
      }
      return change;
    });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => {});
    return result;
  }

  /** A second one, whatever it asks for, ends the process at once. */
  shutDown(how: Shutdown): void {
    if (how === 'now' || this.#shuttingDown) {
      this.#shuttingDown = true;
      return this.#finish(0);
    }
    this.#shuttingDown = true;
    const drain: GatewayCommand = { kind: 'drain', until: how, deadlineMs: 0 };
    this.gateway.execute(drain).then(
      (problem) => {
        if (problem) this.log.logger.error(problem.message);
        else this.log.logger.info(ENDINGS[how]);
        this.#finish(0);
      },
      // The reactor has ended, which its own promise tells.
      () => {},
    );
  }
}
