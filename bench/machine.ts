/**
 * Where and with what was measured, without names of hosts or paths.
 */
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { run } from './child-process.js';

/** e.g. `AMD EPYC, 2 cores, 24 GiB, Linux 6.1.0 x64`. */
export function describeMachine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpuModel()}, ${cpus().length} cores, ${memory} GiB, ${type()} ${release()} ${arch()}`;
}

/** Runnable tasks per core in the last minute: what else the machine does, asked before anything is started. */
export function loadPerCore(): number {
  return loadavg()[0]! / cpus().length;
}

function cpuModel(): string {
  return cpus()[0]?.model.trim() || 'unknown CPU';
}

/** A name for this kind of machine that can stand in a file's name, e.g. `amd-epyc-2-cores`. */
export function machineSlug(model = cpuModel(), cores = cpus().length): string {
  return `${model} ${cores} cores`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

/** The checkout's commit, e.g. `1a2b3c4`, with `(modified)` if files differ from it. */
export async function describeCommit(): Promise<string> {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  const commit = await run('git', ['rev-parse', '--short', 'HEAD'], { cwd }).catch(() => null);
  if (commit === null || commit.exitCode !== 0) return 'of an unknown commit';
  const status = await run('git', ['status', '--porcelain', '--untracked-files=no'], { cwd });
  return `${commit.stdout.trim()}${status.stdout.trim() === '' ? '' : ' (modified)'}`;
}
