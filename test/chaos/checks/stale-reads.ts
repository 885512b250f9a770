/** Check 5: a read sees every commit that was acknowledged before it came, whoever answers it. */
import { setTimeout as pause } from 'node:timers/promises';
import { GATEWAYS } from '../clusters/cluster-under-test.js';
import type { DatabaseNode } from '../clusters/database-node.js';
import type { Gateways } from '../clusters/fronts.js';
import type { Fault } from '../faults.js';
import { signalAll } from '../ground/program.js';
import { type Check, type CheckPart, type Scene, underFault } from './check.js';

const LAG_MS = 6_000;
const WRITE_PACE_MS = 20;
const READ_PACE_MS = 5;
const READERS_OF_A_GATEWAY = 3;
/** A function in it, to say who answers, would send it to the primary. */
const READ_REGISTER = 'SELECT value FROM chaos_register';
/** How often a node has read the register. */
const SCANS = "SELECT seq_scan AS scans FROM pg_stat_user_tables WHERE relname = 'chaos_register'";

/** One number that only grows, written by way of one gateway and read by way of both. */
class Register {
  readonly against: string[] = [];
  reads = 0;
  readonly #gateways: Gateways;
  /** How often a session has seen less than before, which is allowed as long as nothing of it had been acknowledged. */
  steps = 0;
  #acknowledged = 0;
  #isOver = false;
  readonly #work: Promise<void>[] = [];

  constructor(gateways: Gateways) {
    this.#gateways = gateways;
  }

  async start(): Promise<void> {
    const client = this.#gateways.client(GATEWAYS[0]);
    await client.connect();
    await client.query('CREATE TABLE IF NOT EXISTS chaos_register (value bigint NOT NULL)');
    await client.query('DELETE FROM chaos_register');
    await client.query('INSERT INTO chaos_register VALUES (0)');
    this.#work.push(
      this.#write(client),
      ...GATEWAYS.flatMap((name) => Array.from({ length: READERS_OF_A_GATEWAY }, () => this.#read(name))),
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#work);
  }

  async #write(client: Awaited<ReturnType<Gateways['client']>>): Promise<void> {
    for (let value = 1; !this.#isOver; value++) {
      await client.query(`UPDATE chaos_register SET value = ${value}`).then(
        () => {
          this.#acknowledged = value;
        },
        () => {},
      );
      await pause(WRITE_PACE_MS);
    }
    await client.end();
  }

  async #read(name: string): Promise<void> {
    const client = this.#gateways.client(name);
    await client.connect();
    let seen = 0;
    while (!this.#isOver) {
      const least = this.#acknowledged;
      const row = await client.query(READ_REGISTER).then(
        ({ rows }) => rows[0],
        () => undefined,
      );
      if (row !== undefined) {
        const value = Number(row.value);
        this.reads++;
        if (value < least) this.against.push(`${value} was shown where ${least} had been acknowledged`);
        if (value < seen) this.steps++;
        seen = value;
      }
      await pause(READ_PACE_MS);
    }
    await client.end();
  }
}

type Lag = (node: DatabaseNode) => Promise<() => Promise<void>>;

/** PostgreSQL says of itself that it does so. */
const replayPaused: Lag = async (node) => {
  await node.query('SELECT pg_wal_replay_pause()');
  return async () => {
    await node.query('SELECT pg_is_in_recovery() AND pg_wal_replay_resume() IS NOT NULL');
  };
};

/** Nobody says so: WAL is received and acknowledged, and not replayed. */
const replayStuck: Lag = async (node) => {
  const [row] = await node.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'");
  const pids = row === undefined ? [] : [Number(row.pid)];
  signalAll(pids, 'SIGSTOP');
  return async () => signalAll(pids, 'SIGCONT');
};

/** So many standbys lag; then, where `isKilled`, the primary dies as well. */
function lagging(lag: Lag, count: number, isKilled: boolean): Fault {
  let undo: (() => Promise<void>)[] = [];
  return {
    what: 'standbys receive and do not replay',
    takesOver: isKilled,
    // The primary dies a while after the fault has begun.
    isSilent: isKilled,
    ...(isKilled ? {} : { passesAfterMs: LAG_MS }),
    begin: async ({ cluster, primary }) => {
      const standbys = cluster.nodes.filter((node) => node !== primary).slice(0, count);
      undo = await Promise.all(standbys.map(lag));
      if (!isKilled) return;
      await pause(LAG_MS / 2);
      signalAll([primary.postmaster!], 'SIGKILL');
    },
    end: async () => {
      for (const one of undo) await one();
    },
  };
}

function underLag(what: string, lag: Lag, count: number, isKilled: boolean): CheckPart {
  const part = underFault({ what, fault: lagging(lag, count, isKilled) });
  return {
    ...part,
    attempt: async (scene: Scene) => {
      const register = new Register(scene.cluster.gateways);
      await register.start();
      const before = await scansOfStandbys(scene);
      const round = await part.attempt(scene).finally(() => register.stop());
      const scans = (await scansOfStandbys(scene)) - before;
      if (scans <= 0 && !isKilled) register.against.push('no standby was read');
      const told = `${register.reads} reads, ${scans} of standbys, ${register.against.length} stale, ${register.steps} less than the last; ${round.told}`;
      return { ...round, told, against: [...round.against, ...register.against.slice(0, 5)] };
    },
  };
}

/** A standby counts on its own, and forgets when it is started again. */
async function scansOfStandbys({ cluster }: Scene): Promise<number> {
  let sum = 0;
  for (const node of cluster.nodes) {
    if (await node.isWritable()) continue;
    sum += Number((await node.query(SCANS).catch(() => []))[0]?.scans ?? 0);
  }
  return sum;
}

export const STALE_READS: Check = {
  number: 5,
  name: 'no read is stale',
  parts: [
    underLag('replay paused on one standby', replayPaused, 1, false),
    underLag('replay stuck on one standby', replayStuck, 1, false),
    underLag('replay stuck on both standbys', replayStuck, 2, false),
    underLag('replay paused on one standby, and the primary dies', replayPaused, 1, true),
  ],
};
