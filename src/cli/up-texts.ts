/** What `sluice up` says at its turning points. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { AgentError } from '../agent/agent-error.js';
import { SUPERUSER } from '../agent/data-directory.js';
import type { DemoCluster } from '../agent/demo-ground.js';
import { LOOPBACK } from '../agent/ports.js';

/** What runs, what to type next, and how to stop. */
export function readyText(port: number, cluster: DemoCluster): string {
  const nodes = cluster.nodes.map(
    (node) => `  ${node.name}  ${node.role}  ${node.host}:${node.port}  log: ${node.log}`,
  );
  return `
Sluice is ready on ${LOOPBACK}:${port}: transaction pooling; ${whereTo(cluster)}.

${nodes.join('\n')}

In another terminal:
${suggestions(port, cluster.binaries.binDirectory)
  .map((line) => `  ${line}`)
  .join('\n')}
For an application:
  postgres://${SUPERUSER}@${LOOPBACK}:${port}/postgres
${howToBreak(cluster)}
Everybody on this machine can log in without a password (trust, on the loopback address only): this is for trying out.
The data are kept in ${cluster.folder} for the next start; --reset makes them anew.
Ctrl-C stops everything.
`;
}

/** What a cluster of agents invites to. */
function howToBreak({ clusterName, nodes }: DemoCluster): string {
  const primary = nodes.find(({ role }) => role === 'primary');
  if (clusterName === null || primary === undefined || nodes.length === 1) return '';
  return `To see it heal, kill a PostgreSQL, the primary's for instance, while pgbench writes:
  kill -9 $(head -1 ${primary.data}/postmaster.pid)
`;
}

function whereTo({ nodes }: DemoCluster): string {
  if (nodes.length === 1) return 'everything goes to the primary';
  return 'writes go to the primary, reads to the standbys';
}

function suggestions(port: number, binDirectory: string): readonly string[] {
  const psql = findClient('psql', binDirectory);
  const pgbench = findClient('pgbench', binDirectory);
  const at = `-h ${LOOPBACK} -p ${port} -U ${SUPERUSER}`;
  const lines: string[] = [];
  if (psql !== null) lines.push(`${psql} ${at}`);
  if (pgbench !== null) {
    lines.push(`${pgbench} -i ${at} postgres`, `${pgbench} -S -c 300 -j 2 -T 10 ${at} postgres`);
  }
  if (psql === null) {
    const url = `postgres://${SUPERUSER}@${LOOPBACK}:${port}/postgres`;
    const script = `const c = new (require('pg').Client)('${url}'); c.connect().then(() => c.query('SELECT version()')).then((r) => console.log(r.rows)).finally(() => c.end())`;
    lines.push(`node -e "${script}"`, "(psql and pgbench, PostgreSQL's own clients, are not installed here)");
  }
  return lines;
}

/** How to call a client program: by its name if PATH has it, else by its place beside the server, else null. */
function findClient(name: string, binDirectory: string): string | null {
  const onPath = (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, name)));
  if (onPath) return name;
  const beside = join(binDirectory, name);
  return isExecutable(beside) ? beside : null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What happened and what to do. An error that nobody foresaw comes with its stack. */
export function failureText(error: unknown): string {
  if (error instanceof AgentError) {
    return ['', `sluice up: ${error.message}`, ...error.advice, ''].join('\n');
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `\nsluice up: unexpected error: ${text}\n`;
}

export function goodbyeText(folder: string): string {
  return `The data are in ${folder}; the next start uses them again.\n`;
}
