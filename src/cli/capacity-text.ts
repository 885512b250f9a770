/** The answer of `sluice check`, for people and for programs. */
import type { CapacityReport, ServerReport } from '../control/capacity/check-capacity.js';
import type { DatabaseDemand } from '../control/capacity/demand.js';

/** More pools than this are summed up. */
const POOLS_SHOWN = 20;
const VERDICTS = { fits: 'fits', 'too-many': 'does not fit', unknown: "can't tell" } as const;

/** A table for each server, a verdict, and what to do. */
export function formatCapacity({ servers }: CapacityReport, gateways: number): string {
  return `${servers.map((report) => serverText(report, gateways)).join('\n')}`;
}

function serverText({ server, demand, facts, judgement, problem }: ServerReport, gateways: number): string {
  const lines = [`${server}${facts === null ? '' : ` (PostgreSQL ${facts.version})`}`];
  if (facts !== null && judgement !== null) {
    lines.push(
      ...table([
        ['max_connections', String(facts.maxConnections)],
        ['superuser_reserved_connections', String(facts.superuserReserved)],
        ['reserved_connections', String(facts.otherReserved)],
        ['room for the pools', String(judgement.room)],
        ['in use at the moment', String(facts.inUse)],
      ]),
      '',
    );
  }
  lines.push(...poolTable(demand.databases, gateways), '');
  if (judgement === null) {
    lines.push(`  ${VERDICTS.unknown}: the server could not be asked: ${problem}`);
  } else {
    lines.push(`  ${VERDICTS[judgement.verdict]}: ${judgement.reason}`);
    lines.push(...judgement.advice.map((advice) => `  -> ${advice}`));
    lines.push(`  memory: ${judgement.memory}`);
  }
  return `${lines.join('\n')}\n`;
}

function poolTable(databases: readonly DatabaseDemand[], gateways: number): string[] {
  const rows: string[][] = [['database', 'user', 'pool', 'reserve', 'at most']];
  for (const { database, pools, cap, most } of databases) {
    for (const { user, size, reserve } of pools) {
      rows.push([
        database,
        user ?? '(others)',
        String(size),
        String(reserve),
        user === null ? '' : String(size + reserve),
      ]);
    }
    const limit = cap > 0 ? ` (max_db_connections ${cap})` : '';
    if (pools.length !== 1 || cap > 0) rows.push([database, `all${limit}`, '', '', count(most)]);
  }
  const most = databases.reduce((sum, each) => sum + each.most, 0);
  const shown =
    rows.length > POOLS_SHOWN + 1
      ? [...rows.slice(0, POOLS_SHOWN + 1), [`and ${rows.length - POOLS_SHOWN - 1} more`]]
      : rows;
  if (databases.length > 1) shown.push(['all databases', '', '', '', count(most)]);
  if (gateways > 1) shown.push([`${gateways} gateways`, '', '', '', count(most * gateways)]);
  return table(shown);
}

function count(value: number): string {
  return Number.isFinite(value) ? String(value) : 'no limit';
}

/** Columns of equal width: numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      /^\d+$/.test(cell) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
    );
    return `  ${cells.join('  ').trimEnd()}`;
  });
}

/** Numbers that nothing bounds are null. */
export function capacityJson(report: CapacityReport): string {
  const finite = (_: string, value: unknown): unknown => (value === Number.POSITIVE_INFINITY ? null : value);
  return `${JSON.stringify(report, finite, 2)}\n`;
}
