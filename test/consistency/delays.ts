/** Keeps the standbys behind the primary, in turns, by what keeps them behind in production. */
import { setTimeout as pause } from 'node:timers/promises';
import type { SeededRandom } from '../fuzz/random.js';
import type { PostgresServer } from '../harness/postgres-server.js';
import type { Cluster } from './cluster.js';

/** One kind of delay. It is over when its promise resolves. */
type Delay = (cluster: Cluster, random: SeededRandom) => Promise<void>;

/** In which both standbys are sure to be given reads. */
const FIRST_CALM_MS = 500;
const CALM_MS_MAX = 600;
const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 900;
const BOTH_PAUSED = 'replay of both paused';
const APPLY_DELAY_MS_MAX = 400;
const LOADS = 4;
const LOAD_ROWS = 15_000;

const DELAYS: Readonly<Record<string, Delay>> = {
  calm: (_cluster, random) => pause(random.below(CALM_MS_MAX)),
  'replay paused': (cluster, random) => pauseReplay(random.pick(cluster.standbys), random),
  [BOTH_PAUSED]: async ({ standbys }, random) => {
    await Promise.all(standbys.map((standby) => pauseReplay(standby, random)));
  },
  recovery_min_apply_delay: (cluster, random) => delayApplying(random.pick(cluster.standbys), random),
  load: loadPrimary,
};

/** What was done, and how often. */
export type DelayCounts = ReadonlyMap<string, number>;

/** Delays the standbys until `goesOn` says no; all replay freely when this resolves. */
export async function delayStandbys(
  cluster: Cluster,
  random: SeededRandom,
  goesOn: () => boolean,
): Promise<DelayCounts> {
  const counts = new Map<string, number>();
  await pause(FIRST_CALM_MS);
  // The first one is sure to make reads stale that don't wait.
  let name: keyof typeof DELAYS = BOTH_PAUSED;
  while (goesOn()) {
    await DELAYS[name]!(cluster, random);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    name = random.pick(Object.keys(DELAYS));
  }
  return counts;
}

async function pauseReplay(standby: PostgresServer, random: SeededRandom): Promise<void> {
  await standby.query('SELECT pg_wal_replay_pause()');
  await pause(PAUSE_MS_MIN + random.below(PAUSE_MS_MAX - PAUSE_MS_MIN));
  await standby.query('SELECT pg_wal_replay_resume()');
}

async function delayApplying(standby: PostgresServer, random: SeededRandom): Promise<void> {
  const delay = 1 + random.below(APPLY_DELAY_MS_MAX);
  await standby.query(`ALTER SYSTEM SET recovery_min_apply_delay = '${delay}ms'`);
  await standby.query('SELECT pg_reload_conf()');
  await pause(3 * delay);
  await standby.query('ALTER SYSTEM RESET recovery_min_apply_delay');
  await standby.query('SELECT pg_reload_conf()');
}

/** Much to replay; emptying the table takes a lock that replay waits for behind the standbys' reads. */
async function loadPrimary({ primary }: Cluster, random: SeededRandom): Promise<void> {
  for (let count = 1 + random.below(LOADS); count > 0; count--) {
    await primary.query(
      `INSERT INTO ballast SELECT n, repeat('x', 200) FROM generate_series(1, ${LOAD_ROWS}) AS n`,
    );
  }
  await primary.query('TRUNCATE ballast');
  await primary.query('VACUUM (ANALYZE) registers, lists');
}
