/**
 * What can be learned about other processes: whether one runs, since when, in which folder, and who listens on a
 * port. Linux tells by /proc; elsewhere `ps` and `lsof` are asked. null always means "can't be known".
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { errorCode } from './agent-error.js';

const LINUX = process.platform === 'linux';

/** True while a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
  return !isZombie(pid);
}

function isZombie(pid: number): boolean {
  return statFields(pid)?.[0] === 'Z';
}

/** A value that tells a process from a later one that got the same id. Only ever compare it for equality. */
export function startIdentity(pid: number): string | null {
  if (LINUX) return statFields(pid)?.[19] ?? null;
  return printed('ps', ['-o', 'lstart=', '-p', String(pid)]);
}

/** The fields of /proc/PID/stat behind the command's name (proc(5)): state first, start time twentieth. */
function statFields(pid: number): readonly string[] | null {
  if (!LINUX) return null;
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return line.slice(line.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Whether this process is a PostgreSQL that works in `dataDirectory` (given without symbolic links). */
export function isPostgresIn(pid: number, dataDirectory: string): boolean | null {
  if (LINUX) {
    try {
      // PostgreSQL changes into its data folder, and all its processes stay there (a shell may stand there, too).
      const folder = readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '');
      return folder === dataDirectory && readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres');
    } catch (error) {
      return errorCode(error) === 'ENOENT' ? false : null;
    }
  }
  const command = printed('ps', ['-o', 'command=', '-p', String(pid)]);
  return command === null ? null : command.includes('postgres') && command.includes(dataDirectory);
}

/** Programs that write into a data folder without working in it. They outlive whoever has started them. */
const WRITERS: ReadonlySet<string> = new Set(['initdb', 'pg_basebackup', 'pg_rewind']);

/** Whether this process is one of PostgreSQL's programs that makes or changes the data in `dataDirectory`. */
function isWriterOf(pid: number, dataDirectory: string): boolean {
  try {
    if (!WRITERS.has(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())) return false;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const paths = words.map((word) => word.replace(/^(?:--pgdata=|--target-pgdata=|-D)/, ''));
    return paths.some((path) => path.startsWith('/') && realpathSync(path) === dataDirectory);
  } catch {
    // It has ended, or names a folder that isn't there.
    return false;
  }
}

/**
 * The ids of all processes that work in `dataDirectory` (given without symbolic links), or write into it as initdb,
 * pg_basebackup and pg_rewind do; null where that can't be known.
 */
export function processesIn(dataDirectory: string): readonly number[] | null {
  if (!LINUX) return null;
  return processIds().filter(
    (pid) => isPostgresIn(pid, dataDirectory) === true || isWriterOf(pid, dataDirectory),
  );
}

/** Who listens on a TCP port, e.g. `postgres (pid 1234)`. */
export function listenerOn(port: number): string | null {
  if (!LINUX) return listenerByLsof(port);
  const inodes = new Set([
    ...listeningInodes('/proc/net/tcp', port),
    ...listeningInodes('/proc/net/tcp6', port),
  ]);
  if (inodes.size === 0) return null;
  const pid = processIds().find((candidate) => holdsSocket(candidate, inodes));
  if (pid === undefined) return null;
  try {
    return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
  } catch {
    return null;
  }
}

function listenerByLsof(port: number): string | null {
  const fields = printed('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'])?.split('\n') ?? [];
  const pid = fields.find((field) => field.startsWith('p'))?.slice(1);
  const command = fields.find((field) => field.startsWith('c'))?.slice(1);
  return pid === undefined ? null : `${command ?? 'a process'} (pid ${pid})`;
}

/** proc(5): the second column is the local address with the port in hexadecimal, the fourth the state, 0A = LISTEN. */
function listeningInodes(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let text: string;
  try {
    text = readFileSync(table, 'utf8');
  } catch {
    return [];
  }
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row[1]?.endsWith(suffix) && row[3] === '0A').map((row) => row[9] ?? '');
}

function holdsSocket(pid: number, inodes: ReadonlySet<string>): boolean {
  let descriptors: readonly string[];
  try {
    descriptors = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return false;
  }
  return descriptors.some((descriptor) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    } catch {
      return false;
    }
  });
}

function processIds(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function printed(command: string, args: readonly string[]): string | null {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 5_000 });
  return status === 0 && stdout.trim() !== '' ? stdout.trim() : null;
}
