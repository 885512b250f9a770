/**
 * The report that stays: what was measured, where, with what.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeCommit, describeMachine, machineSlug } from './machine.js';
import type { BenchOptions, ServerWay } from './options.js';
import type { Figures } from './parts.js';
import { POOLER_SETTINGS } from './poolers.js';
import { SERVER_SETTINGS } from './postgres-under-test.js';
import { bigResultTable, connectTable, idleTable, matrixTable, summaryTable } from './report.js';
import { renderMarkdown, type Table } from './table.js';

/** The checkout (this file runs as dist/bench/results-file.js). */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const NOTES = [
  "CPU time is that of the pooler's whole process, read from /proc: all threads, children not. Its logins in the run count.",
  "On the loopback interface the sender's time includes much of the receiver's work in the kernel.",
  'Everything shares one machine: throughput is what is left beside pgbench and PostgreSQL. Compare CPU time first.',
  "Latency percentiles are from a sample of pgbench's log (half of the transactions at 1 client, else a tenth).",
];

/** How the report says it. */
const WAYS: Readonly<Record<ServerWay, string>> = {
  own: 'loopback TCP, but Sluice by the unix socket of that address (`server_unix_socket`, as it does by itself beside its database; the folder is named because it is a temporary one; `--tcp` measures without)',
  tcp: 'loopback TCP (`--tcp`; Sluice would take the unix socket by itself)',
  unix: 'its unix socket (`--unix`)',
};

/** All tables of what was measured. */
export function tablesOf(options: BenchOptions, figures: Figures): Table[] {
  const tables: Table[] = [];
  const { cells, connects, transfers, stalls, idle } = figures;
  if (cells !== null) {
    tables.push(summaryTable(cells), ...options.modes.map((mode) => matrixTable(mode, cells)));
  }
  if (connects !== null) tables.push(connectTable(connects));
  if (transfers !== null || stalls !== null) {
    tables.push(
      bigResultTable(options.gigabytes, transfers ?? new Map(), stalls ?? new Map(), options.stallSeconds),
    );
  }
  if (idle !== null) tables.push(idleTable(options.idleClients, idle));
  return tables.filter((table) => table.rows.length > 0);
}

async function sluiceVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** The whole report as Markdown. `versions`: of the other programs; `remarks`: what was left out and why. */
export async function renderReport(
  options: BenchOptions,
  versions: readonly string[],
  remarks: readonly string[],
  tables: readonly Table[],
): Promise<string> {
  const settings = Object.entries(SERVER_SETTINGS).map(([name, value]) => `${name}=${value}`);
  const ours = `Sluice ${await sluiceVersion()}, commit ${await describeCommit()}, Node.js ${process.version}`;
  return [
    `# Benchmark of ${new Date().toISOString().slice(0, 10)}${options.quick ? ' (quick: for orientation only)' : ''}`,
    '',
    `- Machine: ${describeMachine()}`,
    `- Versions: ${[ours, ...versions].join('; ')}`,
    `- Poolers: ${POOLER_SETTINGS}; ${clientsBy(options)}; towards PostgreSQL ${WAYS[options.serverWay]}`,
    `- PostgreSQL: ${settings.join(', ')}; pgbench scale ${options.scale}`,
    ...remarks.map((remark) => `- ${remark}`),
    '',
    ...tables.map(renderMarkdown),
    '## How to read this',
    '',
    ...NOTES.map((note) => `- ${note}`),
    '',
  ].join('\n');
}

function clientsBy({ tls }: BenchOptions): string {
  if (tls === null) return 'no TLS';
  return `clients by TLS, certificate with ${tls === 'ec' ? 'an EC key (P-256)' : 'an RSA key (2048 bits)'}`;
}

/** A file under bench/results that does not exist yet. */
function newResultsFile(options: BenchOptions): string {
  const day = new Date().toISOString().slice(0, 10);
  const base = join(
    ROOT,
    'bench',
    'results',
    `${day}-${machineSlug()}${options.tls === null ? '' : '-tls'}${options.serverWay === 'own' ? '' : `-${options.serverWay}`}${options.quick ? '-quick' : ''}`,
  );
  for (let number = 1; ; number++) {
    const path = `${base}${number === 1 ? '' : `-${number}`}.md`;
    if (!existsSync(path)) return path;
  }
}

/** Writes the report where the options say; returns where that was, or null if nowhere. */
export async function writeReport(options: BenchOptions, markdown: string): Promise<string | null> {
  if (options.output === null) return null;
  const path = options.output ?? newResultsFile(options);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, markdown);
  return options.output ?? relative(process.cwd(), path);
}
