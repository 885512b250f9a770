/** The gateway as users start it: `sluice serve` as a process of its own. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { start } from './command.js';
import { DATABASE, type PostgresServer, SUPERUSER } from './postgres-server.js';
import { freePort, scratchFolder } from './scratch.js';
import { until } from './until.js';

/** The I/O drivers that a setting can force. */
export const DRIVERS = ['uring', 'epoll', 'node'] as const;
export type Driver = (typeof DRIVERS)[number];

/** The compiled command line. */
export const GATEWAY_PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** What no log may show unless a test expects it: our own mistakes, and lines of level error and fatal. */
const TROUBLE = [/"level":"(?:error|fatal)"/, /\b\w*Error: /, /^\s+at .+:\d+:\d+\)?$/];

export const PRLIMIT = '/usr/bin/prlimit';

const START_LIMIT_MS = 20_000;
/** More than the ten seconds that it gives clients for taking their last message. */
const END_LIMIT_MS = 20_000;

export interface GatewayOptions {
  readonly io: Driver;
  /** The server behind every database name; or URLs, as `--database` takes them. */
  readonly server: { readonly host: string; readonly port: number } | readonly string[];
  /** A configuration file, beside which `settings` are flags. */
  readonly file?: string;
  /** It also listens on a unix socket in this folder, which has the number of its port. */
  readonly socketFolder?: string;
  /** Settings by their names in the configuration. Default: everybody is trusted. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Default: a free one. */
  readonly port?: number;
  /** Names and secrets (passwords or verifiers); makes an `auth_file`. */
  readonly users?: Readonly<Record<string, string>>;
  /** Modules that each of its threads loads first. */
  readonly preload?: readonly string[];
  /** How many file descriptors it may open; by util-linux's prlimit. */
  readonly openFiles?: number;
  /** Lines of the log that would otherwise fail the test at {@link GatewayUnderTest.stop}. */
  readonly expectedTrouble?: readonly RegExp[];
}

export class GatewayUnderTest {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #expected: readonly RegExp[];
  #log = '';

  private constructor(port: number, child: ChildProcess, expected: readonly RegExp[]) {
    this.port = port;
    this.#child = child;
    this.#expected = expected;
    const collect = (chunk: Buffer) => {
      this.#log += chunk.toString();
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
  }

  /** Starts it and waits until it listens. */
  static async start(options: GatewayOptions): Promise<GatewayUnderTest> {
    const port = options.port ?? (await freePort());
    const file = options.file === undefined ? [] : [options.file];
    const args = ['serve', ...file, '--listen', `127.0.0.1:${port}`, '--io', options.io];
    for (const url of databaseFlags(options.server)) args.push('--database', url);
    const { socketFolder } = options;
    if (socketFolder !== undefined) args.push('--listen', join(socketFolder, `.s.PGSQL.${port}`));
    // Whatever a failed test has left open, the gateway ends at once.
    const settings: Record<string, string | number> = {
      auth_type: 'trust',
      drain_timeout: 0,
      ...options.settings,
    };
    if (options.users !== undefined) settings.auth_file = writeUsers(options.users);
    for (const [name, value] of Object.entries(settings)) args.push('--set', `${name}=${value}`);
    const flags = (options.preload ?? []).flatMap((module) => ['--import', module]);
    const program = [...flags, GATEWAY_PROGRAM, ...args];
    const { openFiles } = options;
    const [command, ...wrapped] = [
      ...(openFiles === undefined ? [] : [PRLIMIT, `--nofile=${openFiles}`]),
      ...[process.execPath, ...program],
    ];
    const child = start(command!, wrapped, { stdio: ['ignore', 'pipe', 'pipe'] });
    const gateway = new GatewayUnderTest(port, child, options.expectedTrouble ?? []);
    await until(
      'the gateway to listen',
      () => gateway.ended || gateway.#log.includes('listening on'),
      START_LIMIT_MS,
    );
    if (gateway.ended) throw new Error(`the gateway did not start (${args.join(' ')}):\n${gateway.#log}`);
    return gateway;
  }

  /** Everything that it has printed. */
  get log(): string {
    return this.#log;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Null while it runs, and after a signal has ended it. */
  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** `postgres://user:password@127.0.0.1:port/database` */
  url(user: string = SUPERUSER, database: string = DATABASE, password?: string): string {
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
    return `postgres://${encodeURIComponent(user)}${secret}@${this.host}:${this.port}/${database}`;
  }

  /** Resident memory in bytes (Linux). */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Lines of the log that nobody expected. */
  trouble(): string[] {
    const lines = this.#log.split('\n').filter((line) => TROUBLE.some((pattern) => pattern.test(line)));
    return lines.filter((line) => !this.#expected.some((pattern) => pattern.test(line)));
  }

  /**
   * Ends it as an operator would (SIGTERM). Throws when it had died before, when it doesn't end, or when its log shows
   * unexpected trouble.
   */
  async stop(): Promise<void> {
    if (this.ended) {
      const how = this.#child.signalCode ?? `code ${this.#child.exitCode}`;
      throw new Error(`the gateway had ended by itself (${how}):\n${this.#log}`);
    }
    this.#child.kill('SIGTERM');
    try {
      await until('the gateway to end after SIGTERM', () => this.ended, END_LIMIT_MS);
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw error;
    }
    const trouble = this.trouble();
    if (trouble.length > 0) throw new Error(`unexpected lines in the gateway's log:\n${trouble.join('\n')}`);
    if (this.#child.exitCode !== 0) {
      throw new Error(
        `the gateway ended with ${this.#child.signalCode ?? this.#child.exitCode}:\n${this.#log}`,
      );
    }
  }
}

/** A gateway in front of `server` while `use` runs. A failure of `use` counts before one of the gateway's end. */
export async function withGateway<T>(
  options: GatewayOptions,
  use: (gateway: GatewayUnderTest) => Promise<T>,
): Promise<T> {
  const gateway = await GatewayUnderTest.start(options);
  let result: T;
  try {
    result = await use(gateway);
  } catch (error) {
    await gateway.stop().catch(() => {});
    throw error;
  }
  await gateway.stop();
  return result;
}

/** The URL of a server's unix socket, for any database and the client's user. */
export function socketUrl(server: PostgresServer): string {
  return `*=postgres://:${server.port}?host=${encodeURIComponent(server.socketFolder)}`;
}

function databaseFlags(server: GatewayOptions['server']): readonly string[] {
  return 'port' in server ? [`*=postgres://${server.host}:${server.port}`] : server;
}

function writeUsers(users: Readonly<Record<string, string>>): string {
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const lines = Object.entries(users).map(([name, secret]) => `${quote(name)} ${quote(secret)}\n`);
  const path = join(scratchFolder('users'), 'userlist.txt');
  writeFileSync(path, lines.join(''), { mode: 0o600 });
  return path;
}
