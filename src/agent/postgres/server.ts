/**
 * One PostgreSQL and its guard: starting, stopping, and changing its configuration, each with certainty of what has come of
 * it. It is always started as a standby.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import { AgentError } from '../agent-error.js';
import { endProcessesIn } from '../guard/end-processes.js';
import { type Guard, startGuard } from '../guard/guard.js';
import { type PostgresProcess, startPostgres } from '../postgres-process.js';
import { readPostmasterFile } from '../postmaster-file.js';
import { KeptConnection } from './kept-connection.js';
import { closeOwn, connectOwn, type OwnConnectionSettings } from './own-connection.js';
import type { Login, PostgresSettings } from './postgres-side.js';
import { ReplicationSecret } from './replication-secret.js';
import { AS_STARTED, type ChangingSettings, GENERATION, ServerFiles } from './server-files.js';
import { type NodePaths, nodePaths, realData, writeAtOnce } from './state-folder.js';

/** For sessions to end by themselves when everything is to end at once; then they are killed. */
const IMMEDIATE_MS = 300;
const RELOAD_MS = 3_000;
const POLL_MS = 3;

/** Settings as a session goes by them. */
interface Effective {
  readonly generation: string;
  readonly conninfo: string;
  readonly names: string;
}

type Options = Partial<Pick<OwnConnectionSettings, 'patienceMs' | 'isSynchronous' | 'database'>>;

export class Server {
  readonly paths: NodePaths;
  readonly logger: Logger;
  readonly secret: ReplicationSecret;
  #settings: PostgresSettings;
  readonly #files: ServerFiles;
  readonly #onEnded: () => void;
  #guard: Guard | null = null;
  #process: PostgresProcess | null = null;
  #isStopping = false;
  readonly #closing = new AbortController();
  #changing: ChangingSettings = AS_STARTED;
  #socketFolder: string | null = null;
  readonly #kept = new KeptConnection(() => this.connect());
  #lastChange: Promise<void> = Promise.resolve();

  /** @param onEnded PostgreSQL has ended for certain, and nobody has asked for that */
  constructor(settings: PostgresSettings, logger: Logger, onEnded: () => void) {
    this.#settings = settings;
    this.logger = logger;
    this.paths = nodePaths(settings);
    this.#files = new ServerFiles(settings, this.paths);
    const { user, password } = settings.replication;
    this.secret = new ReplicationSecret(this.paths, user, password);
    this.#onEnded = onEnded;
  }

  get settings(): PostgresSettings {
    return this.#settings;
  }

  /** The replication role, with the password that the primary was last known to take. */
  get replication(): Login {
    return { user: this.#settings.replication.user, password: this.secret.inUse };
  }

  get isRunning(): boolean {
    return this.#process !== null && this.#process.exit === null;
  }

  /** The postmaster's. */
  get pid(): number | null {
    return this.isRunning ? this.#process!.pid : null;
  }

  get changing(): ChangingSettings {
    return this.#changing;
  }

  /** Fires when the agent closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get wal(): string {
    return join(this.paths.data, 'pg_wal');
  }

  /** Starts it as a standby, and returns when it answers; rejects when it doesn't, and then nothing runs. */
  async start(changing: ChangingSettings = AS_STARTED): Promise<void> {
    const { binaries, serverUser } = this.settings;
    if (!(await this.stop('immediate', 0))) throw new AgentError('what runs in the data folder does not end');
    await this.#ensureGuard();
    await this.prepare();
    this.#changing = changing;
    await this.#files.write(changing);
    await this.markAsStandby();
    // An end before it is ready is the failure of this start, and nothing else.
    this.#isStopping = true;
    const started = await startPostgres({
      ...{ node: this.paths, binaries, user: serverUser, parameters: this.#files.arguments },
      isAlone: changing.primaryConninfo === '',
      signal: this.#closing.signal,
    });
    this.#process = started;
    this.#guard?.watch(started.pid);
    void started.exited.then(() => this.#noteExit(started));
    try {
      await started.untilReady();
      this.#socketFolder = (await readPostmasterFile(this.paths.data))?.socketFolder ?? null;
      if (this.#socketFolder === null)
        throw new AgentError(`PostgreSQL of ${this.settings.node} has no unix socket`);
      this.#isStopping = false;
      if (!this.isRunning)
        throw new AgentError(`PostgreSQL of ${this.settings.node} ended when it was ready`);
    } catch (error) {
      await this.stop('immediate', 0);
      throw error;
    }
  }

  /** Writes what its programs need, too: the password, for a copy. */
  async prepare(): Promise<void> {
    await this.secret.load();
    await this.#files.prepare(this.secret.inUse);
  }

  /**
   * Goes by other settings, running or not.
   * @returns settings of PostgreSQL that wait for its next start
   * @throws {AgentError} PostgreSQL doesn't take them: then the former are in force
   */
  async reconfigure(settings: PostgresSettings): Promise<readonly string[]> {
    // Of a PostgreSQL that doesn't run its next start tells.
    if (this.isRunning) await new ServerFiles(settings, this.paths).check(this.#changing);
    const apply = async () => {
      const former = this.#settings;
      this.#use(settings);
      try {
        await this.prepare();
        return this.isRunning ? await this.#takeSettings() : [];
      } catch (error) {
        this.#use(former);
        if (this.isRunning) {
          await this.#files.write(this.#changing);
          this.#process?.signal('SIGHUP');
        }
        throw error;
      }
    };
    const changed = this.#lastChange.then(apply);
    this.#lastChange = changed.then(
      () => {},
      () => {},
    );
    return changed;
  }

  #use(settings: PostgresSettings): void {
    this.#settings = settings;
    this.#files.use(settings);
    this.secret.want(settings.replication.password);
  }

  async #takeSettings(): Promise<readonly string[]> {
    const generation = await this.#files.write(this.#changing);
    await this.requireRules();
    this.#process?.signal('SIGHUP');
    await this.#untilTaken(generation);
    const waiting = await this.query<{ name: string }>('SELECT name FROM pg_settings WHERE pending_restart');
    return waiting.map(({ name }) => name);
  }

  /** PostgreSQL removes the file when it is promoted: it is put back, so that no crash makes a start one of a primary. */
  async markAsStandby(): Promise<void> {
    await writeAtOnce(join(this.paths.data, 'standby.signal'), '', this.settings.serverUser);
  }

  /**
   * Ends it, and whatever works in its folder, also if it is an earlier life's.
   * @returns false: something is left, or that can't be known
   */
  async stop(mode: 'fast' | 'immediate', limitMs: number): Promise<boolean> {
    this.#isStopping = true;
    this.#kept.forget();
    const running = this.#process;
    if (running !== null && running.exit === null) {
      if (mode === 'fast') {
        running.signal('SIGINT');
        await endsWithin(running, limitMs);
      }
      running.signal('SIGQUIT');
      await endsWithin(running, IMMEDIATE_MS);
    }
    return this.#endAll();
  }

  /** Whether nothing works in the folder any more, after all that does has been killed. */
  async #endAll(): Promise<boolean> {
    const data = await realData(this.paths);
    if (data !== null && !(await endProcessesIn(data))) {
      this.logger.error({ data }, 'processes work in the data folder that could not be ended');
      return false;
    }
    await this.#process?.exited;
    this.#process = null;
    if (data !== null) await removeLocks(data, this.settings);
    this.#guard?.forget();
    return true;
  }

  /** The PostgreSQL may be a primary until then (ms of CLOCK_MONOTONIC). */
  permit(until: number): void {
    this.#guard?.permit(until);
  }

  /**
   * Looks at the rules for clients as they stand in the file. PostgreSQL goes on with those that it had if there is a mistake.
   * @throws {AgentError} there is
   */
  async requireRules(): Promise<void> {
    const wrong = await this.query<{ line: number; error: string }>(
      // One for TLS without TLS does no harm.
      `SELECT line_number AS line, error FROM pg_hba_file_rules
       WHERE error IS NOT NULL AND error NOT LIKE '%cannot match because%'`,
    );
    if (wrong.length === 0) return;
    const lines = wrong.map(({ line, error }) => `  line ${line}: ${error}`);
    throw new AgentError('PostgreSQL does not take the rules for clients', [
      `In ${this.paths.hba}:`,
      ...lines,
    ]);
  }

  /**
   * Changes the configuration, and returns when the postmaster and every session that begins from now on go by it. Others
   * take it when they next look.
   */
  async reload(change: Partial<ChangingSettings>): Promise<void> {
    await this.#change(change, async (generation) => {
      // The postmaster tells its processes of new settings, reads pg_hba.conf, and begins no session meanwhile: so one
      // that begins when another has been told has met both, and everybody has been told.
      await this.#untilTaken(generation);
      closeOwn(await this.connect());
    });
  }

  /** Changes the configuration where it doesn't matter when exactly it is taken: in some milliseconds. */
  async reloadSoon(change: Partial<ChangingSettings>): Promise<void> {
    await this.#change(change, (generation) => this.#untilTaken(generation));
  }

  async #untilTaken(generation: number): Promise<void> {
    const deadline = performance.now() + RELOAD_MS;
    while (Number((await this.#effective()).generation) < generation) {
      if (performance.now() > deadline) throw unread();
      await pause(POLL_MS);
    }
  }

  /** One change after the other. What ALTER SYSTEM has overruled since the last start is set back. */
  #change(
    change: Partial<ChangingSettings>,
    untilTaken: (generation: number) => Promise<void>,
  ): Promise<void> {
    const apply = async () => {
      this.#changing = { ...this.#changing, ...change };
      for (let attempt = 0; attempt < 2; attempt++) {
        const generation = await this.#files.write(this.#changing);
        this.#process?.signal('SIGHUP');
        await untilTaken(generation);
        const { conninfo, names } = await this.#effective();
        const { primaryConninfo, synchronousStandbyNames } = this.#changing;
        if (conninfo === primaryConninfo && names === synchronousStandbyNames) return;
        await this.query('ALTER SYSTEM RESET primary_conninfo');
        await this.query('ALTER SYSTEM RESET synchronous_standby_names');
      }
      throw new Error('PostgreSQL does not take the configuration');
    };
    const changed = this.#lastChange.then(apply);
    this.#lastChange = changed.catch(() => {});
    return changed;
  }

  /** As the kept session has it, which looks before each statement. */
  async #effective(): Promise<Effective> {
    const [row] = await this.query<Effective>(
      `SELECT current_setting('${GENERATION}') AS generation, current_setting('primary_conninfo') AS conninfo,
              current_setting('synchronous_standby_names') AS names`,
    );
    return row!;
  }

  /** A connection of the superuser to this PostgreSQL; whoever asks for it ends it. */
  connect(options: Options = {}): Promise<pg.Client> {
    const { port, superuser } = this.settings;
    if (this.#socketFolder === null || !this.isRunning)
      return Promise.reject(new Error('PostgreSQL does not run'));
    return connectOwn({ host: this.#socketFolder, port, login: superuser, ...options });
  }

  /** The same for `work`, and ended behind it: what may wait for long, and nobody is to wait behind it. */
  async withConnection<T>(options: Options, work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await this.connect(options);
    try {
      return await work(client);
    } finally {
      closeOwn(client);
    }
  }

  /** A short statement on the one connection that is kept, behind those that were asked for before. A failure ends all of them. */
  query<T extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    return this.#kept.query<T>(sql, values);
  }

  /** Ends PostgreSQL and its guard. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the agent ends'));
    await this.stop('fast', 10_000);
    const guard = this.#guard;
    this.#guard = null;
    await guard?.close();
  }

  async #noteExit(ended: PostgresProcess): Promise<void> {
    if (this.#isStopping || this.#process !== ended) return;
    this.#kept.forget();
    this.logger.warn({ exit: ended.exit }, 'PostgreSQL has ended');
    // As long as something is left that may act, nothing is said.
    while (!(await this.#endAll())) if (this.#isStopping) return;
    // Whoever has asked for a stop meanwhile is answered by that.
    if (!this.#isStopping) this.#onEnded();
  }

  async #ensureGuard(): Promise<void> {
    if (this.#guard?.isAlive) return;
    const data = await realData(this.paths);
    if (data === null) throw new AgentError(`${this.paths.data} is not there`);
    const { serverUser } = this.settings;
    const guard = await startGuard({ data, user: serverUser, noteFile: this.paths.guardNote });
    this.#guard = guard;
    void guard.exited.then(() => {
      if (this.#guard !== guard) return;
      this.#guard = null;
      this.logger.error('the guard has ended: PostgreSQL is ended, and started again with another one');
      void endProcessesIn(data);
    });
  }
}

/**
 * Removes the lock files of a postmaster that has ended. PostgreSQL would take it for a living one if its number has been given
 * to another process since, or as long as its parent has taken no notice of its end.
 */
async function removeLocks(data: string, { socketFolders, port }: PostgresSettings): Promise<void> {
  const file = await readPostmasterFile(data);
  if (file === null) return;
  const folders = [file.socketFolder ?? '', ...(socketFolders ?? '').split(',')].map((folder) =>
    folder.trim(),
  );
  for (const folder of new Set(folders)) {
    if (folder === '') continue;
    const lock = join(folder, `.s.PGSQL.${file.port ?? port}.lock`);
    const holder = Number.parseInt(await readFile(lock, 'utf8').catch(() => ''), 10);
    if (holder === file.pid) await rm(lock, { force: true });
  }
  await rm(join(data, 'postmaster.pid'), { force: true });
}

function unread(): Error {
  return new Error('PostgreSQL did not read its configuration again');
}

async function endsWithin(process: PostgresProcess, ms: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([process.exited, pause(ms, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}
