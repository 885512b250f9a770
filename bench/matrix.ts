/**
 * The main comparison: every target under every workload, interleaved (A B C, B C A, ...), so that a change in the
 * machine's speed meets all of them.
 */
import { type QueryMode, type RunResult, runPgbench, type Workload } from './pgbench-run.js';
import type { Target } from './poolers.js';
import type { PostgresUnderTest } from './postgres-under-test.js';
import type { Progress } from './progress.js';

/** One workload and how often it is measured. */
export interface CellPlan extends Workload {
  readonly rounds: number;
}

/** All runs of one workload: by target's name, one element a round. */
export interface Cell {
  readonly plan: CellPlan;
  readonly runs: ReadonlyMap<string, readonly RunResult[]>;
}

/** At one client noise is large and differences are small: each round becomes this many short ones. */
const SPLIT_AT_ONE_CLIENT = 5;
/** pgbench takes whole seconds. */
const SHORTEST_RUN_SECONDS = 1;
/** Code that a workload needs is compiled in its first seconds, which a process that runs for months does not notice. */
const WARM_UP_SECONDS = 4;
const WARM_UP_CLIENTS = 32;
/** What a run takes beside its own duration: start, logins, logs. */
const OVERHEAD_SECONDS = 0.3;

/** Orders the workloads: by mode, then by clients. */
export function planCells(
  modes: readonly QueryMode[],
  clients: readonly number[],
  rounds: number,
  seconds: number,
): CellPlan[] {
  return modes.flatMap((mode) =>
    clients.map((count) => {
      if (count > 1) return { mode, clients: count, rounds, seconds };
      return {
        mode,
        clients: count,
        rounds: rounds * SPLIT_AT_ONE_CLIENT,
        seconds: Math.max(SHORTEST_RUN_SECONDS, Math.round(seconds / SPLIT_AT_ONE_CLIENT)),
      };
    }),
  );
}

/** Clients of {@link planConnects}. */
const CONNECTING_CLIENTS = 8;

/** The workload in which every transaction has a connection of its own. */
export function planConnects(rounds: number, seconds: number): CellPlan[] {
  return [{ mode: 'simple', clients: CONNECTING_CLIENTS, rounds, seconds, reconnects: true }];
}

/** About how long {@link runMatrix} takes, in s. */
export function matrixSeconds(plans: readonly CellPlan[], targets: number): number {
  const warmUps = new Set(plans.map(workloadOf)).size;
  const runs = plans.reduce((sum, plan) => sum + plan.rounds * (plan.seconds + OVERHEAD_SECONDS), 0);
  return targets * (runs + warmUps * (WARM_UP_SECONDS + OVERHEAD_SECONDS));
}

/** What is warmed up for: its name. */
function workloadOf({ script, mode }: CellPlan): string {
  return [script?.name, mode].filter(Boolean).join(', ');
}

/** The order of targets in a round: each begins in turn, so that none always follows the same. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const first = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

function brief(target: Target, result: RunResult): string {
  const cpu =
    result.userUs === null || result.systemUs === null
      ? ''
      : ` ${(result.userUs + result.systemUs).toFixed(1)} us`;
  const errors = result.errors === 0 ? '' : ` ${result.errors} ERRORS (${result.complaint})`;
  return `${target.name} ${Math.round(result.tps)} tps${cpu}${errors}`;
}

/** Runs all workloads. `folder` takes pgbench's logs. */
export async function runMatrix(
  postgres: PostgresUnderTest,
  targets: readonly Target[],
  plans: readonly CellPlan[],
  folder: string,
  progress: Progress,
): Promise<Cell[]> {
  const warm = new Set<string>();
  const warmUp = async (plan: CellPlan, name: string): Promise<void> => {
    warm.add(name);
    for (const target of targets) {
      progress.now(`warming up: ${target.name}, ${name}`);
      const workload = { ...plan, reconnects: false, clients: WARM_UP_CLIENTS, seconds: WARM_UP_SECONDS };
      await runPgbench(postgres, target, workload, folder);
      progress.spent(WARM_UP_SECONDS + OVERHEAD_SECONDS);
    }
  };
  const cells: Cell[] = [];
  for (const plan of plans) {
    const name = workloadOf(plan);
    if (!warm.has(name)) await warmUp(plan, name);
    const runs = new Map<string, RunResult[]>(targets.map((target) => [target.name, []]));
    for (let round = 0; round < plan.rounds; round++) {
      const mode = plan.reconnects ? 'connecting' : name;
      const what = `${mode}, ${plan.clients} client${plan.clients === 1 ? '' : 's'}, round ${round + 1} of ${plan.rounds}`;
      const done: string[] = [];
      for (const target of rotated(targets, round)) {
        progress.now(`${what}: ${target.name}`);
        const result = await runPgbench(postgres, target, plan, folder);
        runs.get(target.name)!.push(result);
        done.push(brief(target, result));
        progress.spent(plan.seconds + OVERHEAD_SECONDS);
      }
      progress.line(`${what}: ${done.join('; ')}`);
    }
    cells.push({ plan, runs });
  }
  return cells;
}
