/** Where PostgreSQL's programs are on this machine, and as whom the server may run. */
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const DISTRIBUTION_FOLDERS = ['/usr/lib/postgresql', '/usr/local/lib/postgresql'];

/**
 * The path of a program such as `initdb` or `pg_dump`: from `SLUICE_TEST_PGBIN`, the distribution's folders (the newest
 * version first), or PATH. Throws when there is none.
 */
export function postgresProgram(name: string): string {
  for (const folder of programFolders()) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder.
    }
  }
  throw new Error(`PostgreSQL's ${name} was not found; install it, or set SLUICE_TEST_PGBIN to its folder`);
}

/** Where PostgreSQL's programs are looked for, the best place first. */
export function programFolders(): string[] {
  const given = process.env.SLUICE_TEST_PGBIN;
  if (given !== undefined && given !== '') return [given];
  const folders: string[] = [];
  for (const base of DISTRIBUTION_FOLDERS) {
    try {
      const versions = readdirSync(base).sort((a, b) => Number(b) - Number(a));
      folders.push(...versions.map((version) => join(base, version, 'bin')));
    } catch {
      // Not this distribution.
    }
  }
  return [...folders, ...(process.env.PATH ?? '').split(delimiter)];
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, else `nobody`. Empty when we are not root. */
export function serverIdentity(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = accounts.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(
    'running as root, and there is neither a user postgres nor a user nobody to run PostgreSQL as',
  );
}
