/** A cluster that lives long, under load, through troubles that a seed decides: `npm run chaos -- --random`. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../harness/until.js';
import { APPLICATIONS } from '../clusters/cluster-under-test.js';
import { untilWhole } from '../clusters/etcd.js';
import type { SluiceCluster } from '../clusters/sluice-cluster.js';
import type { Ground } from '../ground/ground.js';
import { monotonic, type Operation, writeHistory } from '../load/history.js';
import type { LoadMachines } from '../load/load-machines.js';
import { acknowledged, longestGap } from '../load/oracles.js';
import { prepareSet, startInside, startLoad, writableNode } from '../round.js';
import { Judge } from './judge.js';
import { type Act, Schedule } from './schedule.js';
import { type Field, FREEZES, MOVES_CLIENTS, told, undergo } from './troubles.js';

/** How long a cluster may take to become whole when everything is repaired, on a machine that others keep busy, in ms. */
const WHOLE_LIMIT_MS = 180_000;
const QUIET_MS = 1_000;
/** Histories of so many acts are there, until one breaks a promise: from then on all stay. */
const KEPT_HISTORIES = 5;
/** Longer than a lease and an election: the history of such an act stays, too, since its troubles must explain it. */
const LONG_GAP_MS = 10_000;
/** No process of ours may ever need more. Bytes. */
const MEMORY_MAX = 400e6;

export interface LongRunOrder {
  readonly seed: number;
  readonly minutes: number;
  /** For histories. */
  readonly folder: string;
}

/** What a long run came to. */
export interface LongRunResult {
  readonly against: readonly string[];
  readonly summary: string;
}

/** Runs acts until the time is over, or the cluster doesn't become whole again. */
export async function runLong(
  cluster: SluiceCluster,
  ground: Ground,
  order: LongRunOrder,
): Promise<LongRunResult> {
  const run = new LongRun(cluster, ground, order);
  return run.play();
}

class LongRun {
  readonly #cluster: SluiceCluster;
  readonly #ground: Ground;
  readonly #order: LongRunOrder;
  readonly #begin = monotonic();
  readonly #judge = new Judge();
  readonly #against: string[] = [];
  #load: LoadMachines | null = null;
  #loads = 0;
  #acts = 0;
  #worstGapMs = 0;
  /** Acts whose histories stay. */
  readonly #kept = new Set<number>();
  #memory = 0;

  constructor(cluster: SluiceCluster, ground: Ground, order: LongRunOrder) {
    this.#cluster = cluster;
    this.#ground = ground;
    this.#order = order;
  }

  async play(): Promise<LongRunResult> {
    const { seed, minutes } = this.#order;
    const schedule = new Schedule(seed);
    await prepareSet(this.#cluster);
    try {
      let isWhole = true;
      while (isWhole && monotonic() - this.#begin < minutes * 60_000) {
        isWhole = await this.#runAct(schedule.next());
      }
      await this.#load?.stop();
      if (isWhole) await this.#judgeAll();
    } finally {
      await this.#load?.stop();
    }
    const { acknowledged } = this.#judge;
    const lasted = (monotonic() - this.#begin) / 60_000;
    const summary =
      `seed ${seed}: ${this.#acts} acts in ${lasted.toFixed(1)} min; acknowledged ${acknowledged}; longest time without a write ` +
      `${(this.#worstGapMs / 1_000).toFixed(1)} s; at most ${megabytes(this.#memory)} in a process; broken promises: ${this.#against.length}`;
    return { against: this.#against, summary };
  }

  /** Resolves with whether the cluster is whole afterwards. */
  async #runAct(act: Act): Promise<boolean> {
    this.#acts++;
    this.#load ??= startLoad(this.#ground, this.#cluster, 1 + this.#loads++ * APPLICATIONS.length);
    const load = this.#load;
    const primary = await writableNode(this.#cluster);
    const roles = [primary, ...this.#cluster.nodes.filter((node) => node !== primary)];
    const field: Field = { ground: this.#ground, cluster: this.#cluster, roles, ended: new Set() };
    const since = monotonic();
    const inside = await this.#undergo(field, act);
    const { wholeMs, broken } = await this.#becomeWhole(load);
    if (act.some(({ name }) => MOVES_CLIENTS.has(name))) {
      // So that each gateway has clients of its own again.
      await load.stop();
      this.#load = null;
    }
    const outside = load.take();
    if (wholeMs !== null) {
      const isFrozen = act.some(({ name }) => FREEZES.has(name));
      broken.push(
        ...(await this.#judge.judge({ outside, inside, isFrozen }, await writableNode(this.#cluster))),
      );
    }
    this.#note(act, field, { since, outside, inside, wholeMs, broken });
    return wholeMs !== null;
  }

  /** Lets the troubles come and pass. Resolves with what clients on the primary's machine have seen of them. */
  async #undergo(field: Field, act: Act): Promise<readonly Operation[]> {
    const inside = startInside(this.#ground, field.roles[0]!);
    try {
      await until('clients inside', () => acknowledged(inside.history).length > 0, WHOLE_LIMIT_MS);
      await Promise.all(act.map((trouble) => undergo(field, trouble)));
    } finally {
      await inside.stop(2_000);
      await this.#ground.repair();
    }
    return inside.history;
  }

  async #becomeWhole(load: LoadMachines): Promise<{ wholeMs: number | null; broken: string[] }> {
    const repaired = monotonic();
    const broken: string[] = [];
    const wholeMs = await untilWhole('the cluster', this.#cluster.nodes, WHOLE_LIMIT_MS).then(
      () => monotonic() - repaired,
      () => null,
    );
    if (wholeMs === null) broken.push('the cluster did not become whole again');
    const alive = () => acknowledged(load.history).some(({ invoked }) => invoked > repaired);
    await until('writes', alive, WHOLE_LIMIT_MS).catch(() => broken.push('nobody could write at the end'));
    await pause(QUIET_MS);
    return { wholeMs, broken };
  }

  async #judgeAll(): Promise<void> {
    const primary = await writableNode(this.#cluster);
    const outside = this.#load?.take() ?? [];
    this.#against.push(...(await this.#judge.judge({ outside, inside: [], isFrozen: false }, primary)));
    this.#against.push(...(await this.#judge.judgeAll(primary)));
  }

  #note(act: Act, field: Field, found: Found): void {
    const { folder } = this.#order;
    const { since, outside, inside, wholeMs, broken } = found;
    const used = Math.max(...residentBytes([...this.#cluster.gateways.pids, ...this.#cluster.agentPids]));
    if (used > MEMORY_MAX) broken.push(`a process needs ${megabytes(used)}`);
    this.#memory = Math.max(this.#memory, used);
    const gap = longestGap(outside, since);
    this.#worstGapMs = Math.max(this.#worstGapMs, gap.ms);
    this.#against.push(...broken);
    console.log(
      `[${seconds(monotonic() - this.#begin)}] act ${this.#acts}: ${act.map((trouble) => told(trouble, field)).join(', ')}; ` +
        `without a write ${seconds(gap.ms)} from ${seconds(gap.from - since)}; whole after ${wholeMs === null ? 'never' : seconds(wholeMs)}; ` +
        `acknowledged ${this.#judge.acknowledged}; failed ${failed(outside)}; ${megabytes(used)}`,
    );
    for (const line of broken) console.log(`  BROKEN: ${line}`);
    writeFileSync(historyFile(folder, this.#acts), writeHistory([...outside, ...inside]));
    if (gap.ms > LONG_GAP_MS) this.#kept.add(this.#acts);
    const old = this.#acts - KEPT_HISTORIES;
    if (this.#against.length === 0 && !this.#kept.has(old)) rmSync(historyFile(folder, old), { force: true });
  }
}

interface Found {
  readonly since: number;
  readonly outside: readonly Operation[];
  readonly inside: readonly Operation[];
  /** From the repair until the cluster was whole; null: it never was. */
  readonly wholeMs: number | null;
  readonly broken: string[];
}

const historyFile = (folder: string, index: number): string => join(folder, `act-${index}.jsonl`);
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** How often something failed, by SQLSTATE. */
function failed(history: readonly Operation[]): string {
  const counts = new Map<string, number>();
  for (const { outcome, code } of history) {
    if (outcome !== 'ok') counts.set(code ?? '?', (counts.get(code ?? '?') ?? 0) + 1);
  }
  return [...counts].map(([code, count]) => `${count} x ${code}`).join(' ') || 'nothing';
}

/** Memory that processes have now, in bytes; of those that have ended, none. */
function residentBytes(pids: readonly number[]): number[] {
  return pids.map((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  });
}
