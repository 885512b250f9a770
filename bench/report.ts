/**
 * From figures to tables. Pure.
 */
import type { Transfer } from './big-result.js';
import type { IdleCost } from './idle-clients.js';
import type { Cell } from './matrix.js';
import type { QueryMode, RunResult } from './pgbench-run.js';
import { DIRECT, PGBOUNCER } from './poolers.js';
import { median, pairedRatio, type Spread, spread } from './statistics.js';
import type { Table } from './table.js';

/** Figures of several rounds by target's name. */
export type ByTarget<T> = ReadonlyMap<string, readonly T[]>;

/** Where there is no figure. */
export const NOTHING = '-';

/** A whole number. */
export function count(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : NOTHING;
}

/** With so many digits. */
export function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : NOTHING;
}

/** e.g. `0.66 (0.61-0.70)`; the extremes are left out where there was one round. */
export function formatRatio(ratio: Spread | null): string {
  if (ratio === null) return NOTHING;
  const middle = ratio.median.toFixed(2);
  return ratio.min === ratio.max ? middle : `${middle} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})`;
}

/** CPU time per transaction in us; null without a pooler. */
export function cpuUs(run: RunResult): number | null {
  return run.userUs === null || run.systemUs === null ? null : run.userUs + run.systemUs;
}

/** The median of one figure over the rounds that have it. */
export function medianOf(runs: readonly RunResult[], figure: (run: RunResult) => number | null): number {
  return median(runs.map(figure).filter((value) => value !== null && Number.isFinite(value)) as number[]);
}

/** One target's figure against another's, round by round; null if there is no such pair. */
export function ratioOf(
  cell: Cell,
  name: string,
  base: string,
  figure: (run: RunResult) => number | null,
): Spread | null {
  return pairedRatio((cell.runs.get(name) ?? []).map(figure), (cell.runs.get(base) ?? []).map(figure));
}

function matrixRow(cell: Cell, name: string): string[] {
  const runs = cell.runs.get(name) ?? [];
  const cpu = medianOf(runs, cpuUs);
  const split = `${fixed(
    medianOf(runs, (run) => run.userUs),
    1,
  )} + ${fixed(
    medianOf(runs, (run) => run.systemUs),
    1,
  )}`;
  const errors = runs.reduce((sum, run) => sum + run.errors, 0);
  return [
    String(cell.plan.clients),
    name,
    count(medianOf(runs, (run) => run.tps)),
    fixed(
      medianOf(runs, (run) => run.averageMs),
      3,
    ),
    fixed(
      medianOf(runs, (run) => run.p50Ms),
      3,
    ),
    fixed(
      medianOf(runs, (run) => run.p99Ms),
      3,
    ),
    fixed(cpu, 1),
    Number.isFinite(cpu) ? split : NOTHING,
    formatRatio(ratioOf(cell, name, PGBOUNCER, cpuUs)),
    formatRatio(ratioOf(cell, name, PGBOUNCER, (run) => run.averageMs)),
    count(errors),
  ];
}

/** One table a query mode: every target at every number of clients. */
export function matrixTable(mode: QueryMode, cells: readonly Cell[]): Table {
  return cellTable(
    `pgbench -S -M ${mode}`,
    cells.filter((cell) => cell.plan.mode === mode),
  );
}

/** Every target where each transaction has a connection of its own. */
export function connectTable(cells: readonly Cell[]): Table {
  return cellTable('pgbench -S -C: a new connection for every transaction', cells);
}

function cellTable(title: string, ofMode: readonly Cell[]): Table {
  const rounds = ofMode.map(
    ({ plan }) =>
      `${plan.clients} client${plan.clients === 1 ? '' : 's'}: ${plan.rounds} rounds of ${plan.seconds} s`,
  );
  return {
    title,
    header: [
      'clients',
      'target',
      'tps',
      'average ms',
      'p50 ms',
      'p99 ms',
      'CPU us/tx',
      'user + system',
      `CPU / ${PGBOUNCER}`,
      `latency / ${PGBOUNCER}`,
      'errors',
    ],
    rows: ofMode.flatMap((cell) => [...cell.runs.keys()].map((name) => matrixRow(cell, name))),
    notes: [
      `Medians of interleaved rounds (${rounds.join('; ')}). Ratios: median (least-greatest) of the rounds' ratios.`,
    ],
  };
}

/** The figure that matters most: CPU time per transaction against PgBouncer, in one table; no rows without PgBouncer. */
export function summaryTable(cells: readonly Cell[]): Table {
  const names = [...new Set(cells.flatMap((cell) => [...cell.runs.keys()]))];
  return {
    title: `CPU time per transaction against ${PGBOUNCER}`,
    header: ['', ...cells.map(({ plan }) => `${plan.mode} ${plan.clients}`)],
    rows: names
      .filter((name) => names.includes(PGBOUNCER) && name !== DIRECT && name !== PGBOUNCER)
      .map((name) => [
        name,
        ...cells.map((cell) => {
          const ratio = ratioOf(cell, name, PGBOUNCER, cpuUs);
          return ratio === null ? NOTHING : ratio.median.toFixed(2);
        }),
      ]),
    notes: ['Query mode and number of clients above; less than 1.00 is better than the other pooler.'],
  };
}

function total(transfer: Transfer): number | null {
  const { userMsPerGigabyte: user, systemMsPerGigabyte: system } = transfer;
  return user === null || system === null ? null : user + system;
}

/** Throughput and CPU of one big result, and memory while its reader stands still (bytes). */
export function bigResultTable(
  gigabytes: number,
  transfers: ByTarget<Transfer>,
  stalls: ByTarget<number>,
  stallSeconds: number,
): Table {
  const base = transfers.get(PGBOUNCER) ?? [];
  const names = [...new Set([...transfers.keys(), ...stalls.keys()])];
  const rows = names.map((name) => {
    const runs = transfers.get(name) ?? [];
    const cpu = spread(runs.map(total).filter((value) => value !== null));
    const growth = stalls.get(name) ?? [];
    const rates = runs.map((run) => run.megabytesPerSecond);
    return [
      name,
      count(median(rates)),
      cpu === null ? NOTHING : count(cpu.median),
      formatRatio(
        pairedRatio(
          rates,
          base.map((run) => run.megabytesPerSecond),
        ),
      ),
      formatRatio(pairedRatio(runs.map(total), base.map(total))),
      growth.length === 0 ? NOTHING : fixed(Math.max(...growth) / 2 ** 20, 1),
    ];
  });
  return {
    title: `One result of ${gigabytes} GB`,
    header: [
      'target',
      'MB/s',
      'CPU ms/GB',
      `throughput / ${PGBOUNCER}`,
      `CPU / ${PGBOUNCER}`,
      'stalled reader: MiB more',
    ],
    rows,
    notes: [
      'COPY TO STDOUT of rows of 1 kB, read by one client that throws them away.',
      `Stalled reader: the greatest growth of resident memory in ${stallSeconds} s in which the client read nothing.`,
    ],
  };
}

/** Memory of idle clients. */
export function idleTable(clients: number, costs: ByTarget<IdleCost>): Table {
  const kilobytes = (bytes: readonly number[]): string => fixed(median(bytes) / 1024, 2);
  return {
    title: `Resident memory with ${clients.toLocaleString('en-US')} idle clients`,
    header: ['target', 'KiB per client', 'after a query each', 'MiB before they came'],
    rows: [...costs].map(([name, rounds]) => [
      name,
      kilobytes(rounds.map((cost) => cost.loggedInBytes)),
      kilobytes(rounds.map((cost) => cost.afterQueryBytes)),
      fixed(median(rounds.map((cost) => cost.baseBytes)) / 2 ** 20, 1),
    ]),
    notes: ["The kernel's memory for their sockets is the same for all, and is not in these figures."],
  };
}
