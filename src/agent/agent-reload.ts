/** An agent's file that changes while the agent runs: what takes effect at once, and what does not. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig } from '../config/agent-config.js';
import { ConfigError } from '../config/problem.js';
import { SignalQueue } from '../control/signal-queue.js';
import { AgentError } from './agent-error.js';

/** How often the files with passwords are looked at. ms. */
const SECRETS_MS = 5_000;

/** Keys of the section `postgresql` that a running agent goes by when they have changed. */
const LIVE_POSTGRESQL = [
  ...(['settings', 'client_rules', 'config_file', 'hba_file', 'replication_password_file'] as const),
  ...(['replication_sslmode', 'replication_ca_file'] as const),
  ...(['auth_password_file', 'auth_user', 'auth_databases'] as const),
] as const;
/** Others of it, but those that have a meaning at the very first start alone. */
const FIXED_POSTGRESQL = [
  ...(['data', 'bin', 'port', 'listen', 'socket_dir', 'superuser', 'replication_user'] as const),
] as const;

/** What becomes of a file that was read again. */
export interface Reloaded {
  /** The configuration from now on. */
  readonly config: AgentConfig;
  /** Keys that have changed and take effect. */
  readonly live: readonly string[];
  /** Keys that have changed and wait for the agent's next start. */
  readonly waiting: readonly string[];
}

/** Takes over what can be taken over while it runs. */
export function mergeReload(running: AgentConfig, next: AgentConfig): Reloaded {
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const top = {
    address: [running.address, next.address],
    priority: [running.priority, next.priority],
    durability: [running.durability, next.durability],
    quorum: [running.quorum, next.quorum],
    replicate_from: [running.replicateFrom, next.replicateFrom],
    // In proportion to the lease.
    timing: next.timing.leaseMs === running.timing.leaseMs ? [running.timing, next.timing] : [],
    'timing.wedged': [running.wedgedMs, next.wedgedMs],
    on_event: [running.onEvent, next.onEvent],
    on_event_timeout: [running.onEventMs, next.onEventMs],
    'the content of replication_password_file': [running.replicationPassword, next.replicationPassword],
    'the content of auth_password_file': [running.authPassword, next.authPassword],
  };
  const fixed = {
    node: [running.node, next.node],
    cluster: [running.cluster, next.cluster],
    http_listen: [running.httpListen, next.httpListen],
    http_tls: [running.httpTls, next.httpTls],
    http_token_file: [running.httpTokenFile, next.httpTokenFile],
  };
  const changed = (pairs: Readonly<Record<string, readonly unknown[]>>) =>
    Object.keys(pairs).filter((key) => differs(pairs[key]![0], pairs[key]![1]));
  const changedOf = (keys: readonly (keyof AgentConfig['postgresql'])[]) =>
    keys
      .filter((key) => differs(running.postgresql[key], next.postgresql[key]))
      .map((key) => `postgresql.${key}`);
  const postgresql = { ...running.postgresql };
  for (const key of LIVE_POSTGRESQL) Object.assign(postgresql, { [key]: next.postgresql[key] });
  const { address, priority, replicateFrom, durability, quorum, wedgedMs, onEvent, onEventMs } = next;
  const { replicationPassword, authPassword } = next;
  const timing = next.timing.leaseMs === running.timing.leaseMs ? next.timing : running.timing;
  return {
    config: {
      ...running,
      ...{ address, priority, replicateFrom, durability, quorum, timing, wedgedMs, onEvent, onEventMs },
      ...{ replicationPassword, authPassword },
      postgresql,
    },
    live: [...changed(top), ...changedOf(LIVE_POSTGRESQL)],
    waiting: [...changed(fixed), ...changedOf(FIXED_POSTGRESQL)],
  };
}

/** Who goes by the configuration. */
export interface ReloadParts {
  readonly config: AgentConfig;
  readonly logger: Logger;
  /** Reads the file again. */
  readonly load: () => Promise<AgentConfig>;
  /** Rejects with an AgentError when it can't be gone by: then the former is in force. */
  readonly apply: (config: AgentConfig) => Promise<void>;
}

/** Reads the file again at SIGHUP, and the files with passwords every few seconds by itself. */
export class AgentReload {
  readonly #parts: ReloadParts;
  readonly #signals = new SignalQueue(['SIGHUP']);
  readonly #end = new AbortController();
  readonly #running: Promise<void>;
  #config: AgentConfig;
  #unreadable = '';

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#running = this.#run();
  }

  /** Resolves when nothing is applied any more. */
  async close(): Promise<void> {
    this.#end.abort();
    this.#signals.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    let asked = this.#signals.next().then(() => true);
    while (!signal.aborted) {
      const timer = pause(SECRETS_MS, false, { signal, ref: false }).catch(() => false);
      const isAsked = await Promise.race([asked, timer]);
      if (signal.aborted) return;
      if (isAsked) asked = this.#signals.next().then(() => true);
      await this.#reload(isAsked ? this.#parts.load : () => this.#withSecrets(), isAsked);
    }
  }

  async #reload(load: () => Promise<AgentConfig>, isAsked: boolean): Promise<void> {
    const { logger } = this.#parts;
    try {
      const { config, live, waiting } = mergeReload(this.#config, await load());
      if (isAsked || live.length > 0) {
        // A file that PostgreSQL includes may have changed where ours has not.
        await this.#parts.apply(config);
        this.#config = config;
        logger.info(live.length === 0 ? 'the file was read again' : `changed: ${live.join(', ')}`);
      }
      if (waiting.length > 0)
        logger.warn(`changed, and without effect until the agent is started again: ${waiting.join(', ')}`);
    } catch (error) {
      this.#refuse(error as Error);
    }
  }

  #refuse(error: Error): void {
    const { logger } = this.#parts;
    const advice = error instanceof AgentError ? error.advice : [];
    if (!(error instanceof AgentError || error instanceof ConfigError)) {
      logger.error(`the change was not taken over: ${error.stack}`);
    } else {
      logger.error([`the change is refused, all stays as it was: ${error.message}`, ...advice].join('\n'));
    }
  }

  /** What runs, with the passwords that the files hold now. A file that can't be read changes nothing. */
  async #withSecrets(): Promise<AgentConfig> {
    const { postgresql, replicationPassword, authPassword } = this.#config;
    return {
      ...this.#config,
      replicationPassword: await this.#read(postgresql.replication_password_file, replicationPassword),
      authPassword: await this.#read(postgresql.auth_password_file, authPassword),
    };
  }

  async #read(file: string | undefined, former: string | null): Promise<string | null> {
    if (file === undefined) return former;
    try {
      const password = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
      // It is being written.
      return password === '' ? former : password;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#unreadable) this.#parts.logger.warn(`a password can't be read again: ${message}`);
      this.#unreadable = message;
      return former;
    }
  }
}
