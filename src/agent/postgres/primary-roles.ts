/** What a primary does for roles and functions while it leads, beside everything else and never in its way. */
import { setTimeout as pause } from 'node:timers/promises';
import type { NodeProblem } from '../../cluster/node-facts.js';
import { ensureLookUp } from './lookup-function.js';
import { hasPassword, setPassword } from './role-password.js';
import type { Server } from './server.js';

/** While something is left to do. */
const RETRY_MS = 2_000;
/** When all is done: somebody may have changed it. */
const AGAIN_MS = 60_000;

/** At each moment one round of work at most. */
export class PrimaryRoles {
  readonly #server: Server;
  /** Whether all nodes have the password of that key. */
  readonly #isKnownToAll: (key: string) => boolean;
  #life = new AbortController();
  #problem: NodeProblem | null = null;

  constructor(server: Server, isKnownToAll: (key: string) => boolean) {
    this.#server = server;
    this.#isKnownToAll = isKnownToAll;
    this.#life.abort();
  }

  get problem(): NodeProblem | null {
    return this.#problem;
  }

  /** From now on, and at once: it leads, or its settings have changed. */
  begin(): void {
    this.stop();
    this.#life = new AbortController();
    void this.#run(this.#life.signal);
  }

  /** After a change of the settings: at once, if it leads. */
  renew(): void {
    if (!this.#life.signal.aborted) this.begin();
  }

  stop(): void {
    this.#life.abort();
    this.#problem = null;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const problem = await this.#work();
      if (signal.aborted) return;
      this.#problem = problem;
      await pause(problem === null ? AGAIN_MS : RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #work(): Promise<NodeProblem | null> {
    const { auth } = this.#server.settings;
    const waiting = await this.#attempt('the replication password', () => this.#keepReplication());
    const failed =
      auth === null
        ? null
        : await this.#attempt(`the role ${auth.user} and its function`, async () => {
            await ensureLookUp(this.#server, auth);
            return null;
          });
    return failed ?? waiting;
  }

  async #attempt(what: string, work: () => Promise<NodeProblem | null>): Promise<NodeProblem | null> {
    try {
      return await work();
    } catch (error) {
      const { message } = error as Error;
      this.#server.logger.debug({ reason: message }, `${what} could not be kept`);
      return { text: `${what} could not be kept: ${message}`, advice: 'It is tried again.' };
    }
  }

  /** A new password is taken over when all nodes have it: then every standby finds its way back, whenever its stream ends. */
  async #keepReplication(): Promise<NodeProblem | null> {
    const { secret, settings, logger } = this.#server;
    const { wanted } = secret;
    if (wanted === null) return null;
    const { user } = settings.replication;
    if (await hasPassword(this.#server, user, wanted)) {
      if (secret.next !== null) await this.#adopt();
      return null;
    }
    if (secret.key === null || !this.#isKnownToAll(secret.key)) {
      return {
        text: 'the new replication password waits until all nodes have it',
        advice: 'Write it into replication_password_file of every node that is there.',
      };
    }
    await setPassword(this.#server, user, wanted);
    await this.#adopt();
    logger.info(`the password of ${user} was changed to that of replication_password_file`);
    return null;
  }

  async #adopt(): Promise<void> {
    this.#server.secret.adopt();
    await this.#server.prepare();
  }
}
