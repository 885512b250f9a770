/**
 * The parts of the benchmark, each with poolers that were started for it.
 */
import { measureStall, measureTransfer, type Transfer } from './big-result.js';
import { descriptorLimit, type IdleCost, measureIdleClients } from './idle-clients.js';
import {
  type Cell,
  type CellPlan,
  matrixSeconds,
  planCells,
  planConnects,
  rotated,
  runMatrix,
} from './matrix.js';
import type { BenchOptions } from './options.js';
import { type Contender, DIRECT, withTargets } from './poolers.js';
import type { PostgresUnderTest } from './postgres-under-test.js';
import type { Progress } from './progress.js';
import type { ByTarget } from './report.js';

/** What was measured; null: that part was not asked for. */
export interface Figures {
  readonly cells: readonly Cell[] | null;
  readonly connects: readonly Cell[] | null;
  readonly transfers: ByTarget<Transfer> | null;
  readonly stalls: ByTarget<number> | null;
  readonly idle: ByTarget<IdleCost> | null;
}

/** Memory differs little from one try to the next. */
const MOST_MEMORY_ROUNDS = 3;
/** Rough figures for the estimate. */
const SECONDS_PER_GIGABYTE = 4;
const IDLE_SECONDS = 12;
const STALL_EXTRA_SECONDS = 2;
/** Descriptors that a pooler needs beside those of its clients. */
const SPARE_DESCRIPTORS = 200;

function plansOf(options: BenchOptions): CellPlan[] {
  return planCells(options.modes, options.clients, options.rounds, options.seconds);
}

function memoryRounds(options: BenchOptions): number {
  return Math.min(options.rounds, MOST_MEMORY_ROUNDS);
}

/** About how long everything takes, in s. */
export function estimateSeconds(options: BenchOptions, contenders: readonly Contender[]): number {
  const poolers = contenders.filter((contender) => contender.name !== DIRECT).length;
  const stall = options.stallSeconds + STALL_EXTRA_SECONDS;
  const byPart = {
    matrix: matrixSeconds(plansOf(options), contenders.length),
    connect: matrixSeconds(planConnects(options.rounds, options.seconds), contenders.length),
    big: contenders.length * options.rounds * options.gigabytes * SECONDS_PER_GIGABYTE,
    stall: poolers * memoryRounds(options) * stall,
    idle: poolers * memoryRounds(options) * IDLE_SECONDS,
    routing: 0, // it has a progress of its own
  };
  return options.parts.reduce((sum, part) => sum + byPart[part], 0);
}

/** Measures every contender `rounds` times, in turns. */
async function inTurns<T>(
  contenders: readonly Contender[],
  rounds: number,
  once: (contender: Contender, round: number) => Promise<T>,
): Promise<Map<string, T[]>> {
  const figures = new Map<string, T[]>(contenders.map((contender) => [contender.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      figures.get(contender.name)!.push(await once(contender, round));
    }
  }
  return figures;
}

async function transfers(
  options: BenchOptions,
  contenders: readonly Contender[],
  progress: Progress,
): Promise<ByTarget<Transfer>> {
  return withTargets(contenders, async (targets) => {
    const byName = new Map(targets.map((target) => [target.name, target]));
    return inTurns(contenders, options.rounds, async ({ name }, round) => {
      progress.now(`one result of ${options.gigabytes} GB, round ${round + 1}: ${name}`);
      const transfer = await measureTransfer(byName.get(name)!, options.gigabytes);
      progress.spent(options.gigabytes * SECONDS_PER_GIGABYTE);
      progress.line(
        `one result of ${options.gigabytes} GB, round ${round + 1}: ${name} ${Math.round(transfer.megabytesPerSecond)} MB/s`,
      );
      return transfer;
    });
  });
}

async function stalls(
  options: BenchOptions,
  poolers: readonly Contender[],
  progress: Progress,
): Promise<ByTarget<number>> {
  return inTurns(poolers, memoryRounds(options), (contender, round) =>
    withTargets([contender], async ([target]) => {
      progress.now(`a stalled reader, round ${round + 1}: ${contender.name}`);
      const growth = await measureStall(target!, options.gigabytes, options.stallSeconds);
      progress.spent(options.stallSeconds + STALL_EXTRA_SECONDS);
      progress.line(
        `a stalled reader, round ${round + 1}: ${contender.name} ${(growth / 2 ** 20).toFixed(1)} MiB more`,
      );
      return growth;
    }),
  );
}

async function idle(
  options: BenchOptions,
  poolers: readonly Contender[],
  progress: Progress,
): Promise<ByTarget<IdleCost>> {
  const limit = await descriptorLimit();
  const clients = options.idleClients;
  if (clients + SPARE_DESCRIPTORS > limit) {
    throw new Error(
      `${clients} idle clients need ${clients + SPARE_DESCRIPTORS} open files, and the limit is ${limit}: ` +
        'raise it (ulimit -n), or ask for fewer with --idle-clients N.',
    );
  }
  return inTurns(poolers, memoryRounds(options), (contender, round) =>
    withTargets([contender], async ([target]) => {
      progress.now(`${clients} idle clients, round ${round + 1}: ${contender.name}`);
      const cost = await measureIdleClients(target!, clients);
      progress.spent(IDLE_SECONDS);
      progress.line(
        `${clients} idle clients, round ${round + 1}: ${contender.name} ${(cost.afterQueryBytes / 1024).toFixed(2)} KiB each`,
      );
      return cost;
    }),
  );
}

/** Runs the parts that were asked for. `folder` takes pgbench's logs. */
export async function measure(
  options: BenchOptions,
  postgres: PostgresUnderTest,
  contenders: readonly Contender[],
  folder: string,
  progress: Progress,
): Promise<Figures> {
  const poolers = contenders.filter((contender) => contender.name !== DIRECT);
  const wants = (part: BenchOptions['parts'][number]): boolean => options.parts.includes(part);
  return {
    cells: wants('matrix')
      ? await withTargets(contenders, (targets) =>
          runMatrix(postgres, targets, plansOf(options), folder, progress),
        )
      : null,
    connects: wants('connect')
      ? await withTargets(contenders, (targets) =>
          runMatrix(postgres, targets, planConnects(options.rounds, options.seconds), folder, progress),
        )
      : null,
    transfers: wants('big') ? await transfers(options, contenders, progress) : null,
    stalls: wants('stall') ? await stalls(options, poolers, progress) : null,
    idle: wants('idle') ? await idle(options, poolers, progress) : null,
  };
}
