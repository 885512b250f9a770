/** The tables of the part about routing. Pure. */
import type { Cell } from './matrix.js';
import { PGPOOL, PGPOOL_CHILDREN, PGPOOL_SETTINGS } from './pgpool.js';
import { count, cpuUs, fixed, formatRatio, medianOf, NOTHING, ratioOf } from './report.js';
import { ONE_STANDBY, type RoutingFigures, TWO_STANDBYS, UNROUTED } from './routing.js';
import type { Table } from './table.js';

/** What routing costs, and what standbys bring. */
export function routingTables({ cells, scaling }: Pick<RoutingFigures, 'cells' | 'scaling'>): Table[] {
  return [costTable(cells), scalingTable(scaling)];
}

function costTable(cells: readonly Cell[]): Table {
  const [first] = cells;
  const settings = Object.entries(PGPOOL_SETTINGS).map(([name, value]) => `${name}=${value}`);
  return {
    title: 'Routing: one primary, one standby',
    header: [
      'workload',
      'clients',
      'target',
      'tps',
      'average ms',
      'p99 ms',
      'CPU us/tx',
      `CPU / ${PGPOOL}`,
      `CPU / ${UNROUTED}`,
      'errors',
    ],
    rows: cells.flatMap((cell) => [...cell.runs.keys()].map((name) => costRow(cell, name))),
    notes: [
      `Medians of ${first?.plan.rounds} interleaved rounds of ${first?.plan.seconds} s. Ratios: median (least-greatest) of the rounds' ratios. CPU time of ${PGPOOL} is that of all its processes.`,
      `${PGPOOL}: ${settings.join(', ')}, num_init_children=${PGPOOL_CHILDREN} a client; each of its processes has a connection to each node. All reach PostgreSQL by TCP.`,
    ],
  };
}

function costRow(cell: Cell, name: string): string[] {
  const runs = cell.runs.get(name) ?? [];
  const { script, mode, clients } = cell.plan;
  return [
    `${script?.name}, ${mode}`,
    count(clients),
    name,
    count(medianOf(runs, (run) => run.tps)),
    fixed(
      medianOf(runs, (run) => run.averageMs),
      3,
    ),
    fixed(
      medianOf(runs, (run) => run.p99Ms),
      3,
    ),
    fixed(medianOf(runs, cpuUs), 1),
    name === PGPOOL ? NOTHING : formatRatio(ratioOf(cell, name, PGPOOL, cpuUs)),
    name === UNROUTED ? NOTHING : formatRatio(ratioOf(cell, name, UNROUTED, cpuUs)),
    count(runs.reduce((sum, run) => sum + run.errors, 0)),
  ];
}

function scalingTable(cell: Cell): Table {
  const tps = (name: string): number => medianOf(cell.runs.get(name) ?? [], (run) => run.tps);
  const gain = ratioOf(cell, TWO_STANDBYS, ONE_STANDBY, (run) => run.tps);
  return {
    title: `Read throughput where servers are the limit: ${cell.plan.script?.name}`,
    header: ['target', 'tps', `tps / ${ONE_STANDBY}`],
    rows: [
      [ONE_STANDBY, count(tps(ONE_STANDBY)), NOTHING],
      [TWO_STANDBYS, count(tps(TWO_STANDBYS)), formatRatio(gain)],
    ],
    notes: [
      'Each standby has eight server connections, and a read keeps one of them busy without using a processor.',
    ],
  };
}
