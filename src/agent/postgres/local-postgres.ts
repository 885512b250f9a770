/** The PostgreSQL of this machine, as {@link PostgresSide} promises it. */
import type { Answer } from '../../cluster/inputs.js';
import type { NodeProblem } from '../../cluster/node-facts.js';
import type { TimelineOrigin } from '../../cluster/position.js';
import { AgentError } from '../agent-error.js';
import { type FolderLock, lockFolder } from '../folder-lock.js';
import { untilDrained } from './client-doors.js';
import { adviceOf, isProgress, problemOf } from './command-problem.js';
import { replaceData } from './data-replacement.js';
import type {
  PostgresEffect,
  PostgresFacts,
  PostgresSettings,
  PostgresSide,
  PostgresWorld,
} from './postgres-side.js';
import { PrimaryRoles } from './primary-roles.js';
import { promote } from './promotion.js';
import { Server } from './server.js';
import { detach, follow, start } from './standby-work.js';
import { inspectStopped, isDataGone, makeStateFolder, nodePaths, requireOwnData } from './state-folder.js';
import { synchronize } from './synchronous.js';
import { TermLedger } from './term-ledger.js';
import { Watch } from './watch.js';

/** pg_wal_replay_pause says whether it has paused since then, and signal files replaced the old configuration before. */
const OLDEST_MAJOR = 14;
/** For one of a large and busy database. ms. */
const CHECKPOINT_MS = 600_000;
/** Before a `follow` that has failed is tried again. ms. */
const FOLLOW_RETRY_MS = 1_000;
/** So long a new primary opens without a checkpoint; then somebody may be waiting for one. ms. */
const OPENING_MS = 2_000;

/**
 * Takes the data folder, which must be empty or PostgreSQL's own. Nothing is started or ended yet: that is the machine's.
 * @throws {AgentError} what an operator has to change first
 */
export async function openPostgresSide(
  settings: PostgresSettings,
  world: PostgresWorld,
): Promise<PostgresSide> {
  if (process.platform !== 'linux') {
    throw new AgentError('an agent needs Linux', ['It must see which processes work in the data folder.']);
  }
  const { version, major } = settings.binaries;
  if (major < OLDEST_MAJOR) {
    throw new AgentError(`PostgreSQL ${version} is older than ${OLDEST_MAJOR}, and can't be led by an agent`);
  }
  const paths = nodePaths(settings);
  await requireOwnData(paths);
  await makeStateFolder(paths, settings.serverUser);
  const lock = await lockFolder(paths.lock, new Date());
  return new LocalPostgres(settings, world, lock);
}

type Command = Exclude<PostgresEffect, { do: 'permit' }>;
type Queued = Exclude<Command, { do: 'hold' | 'checkpoint' }>;

class LocalPostgres implements PostgresSide {
  readonly #world: PostgresWorld;
  readonly #lock: FolderLock;
  readonly #server: Server;
  readonly #ledger: TermLedger;
  readonly #watch: Watch;
  readonly #roles: PrimaryRoles;
  #queue: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** An end that didn't wait for its turn: nothing may be started before it is complete. */
  #interrupted: Promise<unknown> = Promise.resolve();
  /** Which `hold` is in force; another command ends it. */
  #hold = 0;
  /** The number of the last command that waits for its turn; each ends the following that was asked for before. */
  #last = 0;
  #doing: string | null = null;
  /** Of the last command that has failed. */
  #problem: NodeProblem | null = null;
  /** Settings were changed that only a start of PostgreSQL brings into force. */
  #unstarted: NodeProblem | null = null;
  /** When a new primary's first checkpoint begins; null: it has begun. */
  #checkpointDue: NodeJS.Timeout | null = null;
  /** Tells PostgreSQL once more whom to follow, if it follows. */
  #followAgain: () => void = () => {};

  constructor(settings: PostgresSettings, world: PostgresWorld, lock: FolderLock) {
    this.#world = world;
    this.#lock = lock;
    this.#server = new Server(settings, world.logger, () => {
      this.#forgetCheckpoint();
      this.#roles.stop();
      this.#watch.stop();
      this.#tell({ kind: 'ended' });
    });
    this.#ledger = new TermLedger(this.#server.paths, settings.serverUser);
    this.#watch = new Watch(
      this.#server,
      (node) => world.contactOf(node),
      (input) => this.#tell(input),
    );
    this.#roles = new PrimaryRoles(this.#server, (key) => world.isKnownToAll(key));
  }

  carryOut(effect: PostgresEffect): void {
    if (this.#isClosed) return;
    if (effect.do === 'permit') return this.#server.permit(effect.until);
    if (effect.do === 'stop' || effect.do === 'open') this.#hold++;
    // What is under way, and may hang, fails by that.
    if (effect.do === 'stop' && effect.mode === 'immediate')
      this.#interrupted = this.#server.stop('immediate', 0).catch(() => false);
    if (effect.do === 'hold') {
      const hold = ++this.#hold;
      void this.#attempt(effect, () => this.#drain(hold));
      return;
    }
    if (effect.do === 'checkpoint') {
      void this.#attempt(effect, () => this.#checkpoint());
      return;
    }
    this.#enqueue(effect, this.#workOf(effect, ++this.#last));
  }

  facts(): PostgresFacts {
    return {
      version: this.#server.settings.binaries.version,
      isRunning: this.#server.isRunning,
      ...this.#watch.facts,
      doing: this.#doing,
      problem: this.#problem ?? this.#watch.problem ?? this.#roles.problem ?? this.#unstarted,
      replicationKey: this.#server.secret.key,
    };
  }

  async reload(settings: PostgresSettings): Promise<void> {
    const { replicationTls } = this.#server.settings;
    const waiting = await this.#server.reconfigure(settings);
    this.#unstarted =
      waiting.length === 0
        ? null
        : {
            text: `PostgreSQL must be started again for ${waiting.join(', ')}`,
            advice: 'Start its agent again; where it leads, "sluice switchover" first.',
          };
    if (this.#unstarted !== null) this.#world.logger.warn(this.#unstarted.text);
    this.#roles.renew();
    if (JSON.stringify(replicationTls) !== JSON.stringify(settings.replicationTls)) this.#followAgain();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forgetCheckpoint();
    this.#roles.stop();
    this.#watch.stop();
    await this.#server.close();
    await this.#queue.catch(() => {});
    await this.#server.close();
    await this.#lock.release();
  }

  #tell(input: Parameters<PostgresWorld['tell']>[0]): void {
    if (!this.#isClosed) this.#world.tell(input);
  }

  #enqueue(effect: Queued, work: () => Promise<Answer | null>): void {
    this.#queue = this.#queue.then(() => (this.#isClosed ? undefined : this.#attempt(effect, work)));
  }

  /** Carries one command out. What goes wrong is its answer. */
  async #attempt(command: Command, work: () => Promise<Answer | null>): Promise<void> {
    let answer: Answer | null;
    try {
      answer = await work();
      if (isProgress(command.do) && answer?.kind !== 'not begun') this.#problem = null;
    } catch (error) {
      this.#noteFailure(command.do, error as Error);
      answer = { kind: await this.#kindOfFailure(command.do, error) };
    }
    if ('id' in command && answer !== null) this.#tell({ kind: 'answer', id: command.id, answer });
  }

  /** Data of which files are gone can't be started at any later time either. */
  async #kindOfFailure(command: Command['do'], error: unknown): Promise<'damaged' | 'failed'> {
    if (error instanceof AgentError && error.kind === 'wal-missing') return 'damaged';
    return command === 'start' && (await isDataGone(this.#server.paths)) ? 'damaged' : 'failed';
  }

  #noteFailure(command: Command['do'], error: Error): void {
    const advice = adviceOf(error);
    this.#world.logger.warn(
      { command, reason: error.message, ...(advice.length === 0 ? {} : { advice }) },
      'a command has failed',
    );
    this.#problem = problemOf(command, error) ?? this.#problem;
  }

  /** What the store shows when the command is given belongs to it. */
  #workOf(command: Queued, number: number): () => Promise<Answer | null> {
    const server = this.#server;
    const ledger = this.#ledger;
    switch (command.do) {
      case 'stop':
        return () => this.#stop(command);
      case 'start':
        return async () => {
          const position = await start(server, ledger);
          this.#unstarted = null;
          this.#watch.beginStandby();
          return { kind: 'at', position };
        };
      case 'detach':
        return async () => {
          this.#watch.beginStandby();
          return { kind: 'at', position: await detach(server, ledger) };
        };
      case 'follow': {
        const history = this.#world.epoch()?.history ?? [];
        this.#world.logger.info(`it receives from ${command.upstream}`);
        return () => this.#follow(command, number, history);
      }
      case 'promote':
        return async () => {
          this.#watch.stop();
          const position = await promote(server, ledger, command);
          this.#watch.beginPrimary();
          this.#checkpointIn(OPENING_MS);
          return { kind: 'at', position };
        };
      case 'synchronize':
        return async () => ({ kind: 'synchronized', lsn: await synchronize(server, command) });
      case 'open':
        return async () => {
          await server.reloadSoon({ isOpen: true });
          this.#watch.beginLeading();
          this.#roles.begin();
          if (this.#checkpointDue !== null) this.#checkpointIn(0);
          await server.requireRules();
          return null;
        };
      case 'rewind':
      case 'clone': {
        const contact = this.#world.contactOf(command.primary);
        const epoch = this.#world.epoch();
        return async () => {
          this.#watch.stop();
          const onProgress = (what: string | null) => {
            this.#doing = what;
          };
          const onNotBegun = (reason: string) => this.#noteFailure(command.do, new Error(reason));
          try {
            return await replaceData(server, ledger, { ...command, contact, epoch, onProgress, onNotBegun });
          } finally {
            this.#doing = null;
          }
        };
      }
    }
  }

  /**
   * Tells PostgreSQL whom to receive from, again when that has failed or the primary is reached at another place since. Always in the
   * queue: once another command has come nobody is followed by an older one, lest a vote were untrue.
   */
  async #follow(
    command: Extract<Command, { do: 'follow' }>,
    number: number,
    history: readonly TimelineOrigin[],
  ): Promise<null> {
    if (number !== this.#last) return null;
    const again = () => {
      if (number === this.#last) this.#enqueue(command, () => this.#follow(command, number, history));
    };
    this.#followAgain = again;
    const contact = this.#world.contactOf(command.upstream);
    // Where nobody knows yet how it is reached, that is looked for again and again.
    this.#watch.beginFollowing({ upstream: command.upstream, contact, onMoved: again });
    try {
      await follow(this.#server, this.#ledger, contact, history);
    } catch (error) {
      setTimeout(again, FOLLOW_RETRY_MS).unref();
      throw error;
    }
    return null;
  }

  async #stop({ mode, limitMs }: Extract<Command, { do: 'stop' }>): Promise<Answer> {
    this.#forgetCheckpoint();
    this.#roles.stop();
    this.#watch.stop();
    await this.#interrupted;
    if (!(await this.#server.stop(mode, limitMs))) return { kind: 'failed' };
    return { kind: 'stopped', stopped: await inspectStopped(this.#server.paths) };
  }

  /**
   * Until its first checkpoint has ended pg_rewind takes a new primary for a node of the old timeline, and PostgreSQL itself takes
   * minutes over it. Nobody waits for it here. Commonly it begins when clients are let in, lest it delay that; but if the
   * standbys that this waits for have to be rewound or cloned first, it is they who wait for the checkpoint.
   */
  #checkpointIn(ms: number): void {
    this.#forgetCheckpoint();
    this.#checkpointDue = setTimeout(() => void this.#firstCheckpoint(), ms);
  }

  #forgetCheckpoint(): void {
    if (this.#checkpointDue !== null) clearTimeout(this.#checkpointDue);
    this.#checkpointDue = null;
  }

  async #firstCheckpoint(): Promise<void> {
    this.#checkpointDue = null;
    try {
      await this.#checkpoint();
    } catch (error) {
      this.#world.logger.warn({ reason: (error as Error).message }, 'the first checkpoint was not made');
    }
  }

  /** On a connection of its own: the kept one is looked at the standbys with. */
  async #checkpoint(): Promise<Answer> {
    const options = { patienceMs: CHECKPOINT_MS };
    await this.#server.withConnection(options, (client) => client.query('CHECKPOINT'));
    return { kind: 'checkpointed' };
  }

  /** Lets no new clients in, and waits until those who are in have finished. */
  async #drain(hold: number): Promise<Answer | null> {
    const isWanted = () => hold === this.#hold && !this.#isClosed;
    await this.#server.reload({ isOpen: false });
    const isDrained = await untilDrained(this.#server, () => this.#world.heldByGateways(), isWanted);
    return isDrained ? { kind: 'drained' } : { kind: 'failed' };
  }
}
