/**
 * A PostgreSQL source tree, made ready: its copy, in which the programs of the suites are built, and a server of the very
 * same version. The tree itself is only read.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '../../src/agent/progress.js';
import { run, succeed } from '../harness/command.js';
import { handOver, plainEnvironment, runGroup } from '../harness/process-group.js';

/** What suites are run from. */
export interface ReadyCheckout {
  /** e.g. `15.18` */
  readonly version: string;
  /** The built copy. */
  readonly tree: string;
  /** The folder of `postgres`, `initdb` and `psql`, of the same version. */
  readonly programs: string;
}

/** What the suites need, in the order of what needs what. */
const PARTS = [
  'src/port',
  'src/common',
  'src/interfaces/libpq',
  'src/test/regress',
  'src/test/isolation',
  'src/test/modules/libpq_pipeline',
];
const CONFIGURE = ['--without-readline', '--without-zlib', '--without-icu'];
const INSTALLED = '/usr/lib/postgresql';
const BUILT = 'built';

/** The version of a source tree. Throws when there is none at `path`. */
export function sourceVersion(path: string): string {
  const script = join(path, 'configure');
  const version = existsSync(script)
    ? /^PACKAGE_VERSION='([^']+)'/m.exec(readFileSync(script, 'utf8'))
    : null;
  if (version === null || !existsSync(join(path, 'src', 'test', 'regress'))) {
    throw new Error(`${path} is no source tree of PostgreSQL (it has no configure, or no src/test/regress)`);
  }
  return version[1]!;
}

/**
 * Copies the tree to `work` and builds there; what an earlier call has built in `work` is used again.
 * @param given the folder of a server's programs, which must be of the same version; undefined: the installed ones if they
 * are, else a server is built from the sources
 */
export async function prepare(
  source: string,
  work: string,
  given: string | undefined,
  progress: Progress,
): Promise<ReadyCheckout> {
  const version = sourceVersion(source);
  const tree = join(work, `postgresql-${version}`);
  const programs = given ?? (await installedPrograms(version));
  if (given !== undefined && (await versionOf(given)) !== version) {
    throw new Error(
      `the server in ${given} is ${(await versionOf(given)) ?? 'none'}, the sources are ${version}`,
    );
  }
  const build = new Build(tree, progress);
  if (!existsSync(join(tree, BUILT))) await build.suites(source, work);
  return { version, tree, programs: programs ?? (await build.server(join(work, `server-${version}`))) };
}

async function installedPrograms(version: string): Promise<string | undefined> {
  if (!existsSync(INSTALLED)) return undefined;
  for (const name of readdirSync(INSTALLED)) {
    const folder = join(INSTALLED, name, 'bin');
    if ((await versionOf(folder)) === version) return folder;
  }
  return undefined;
}

/** Undefined: there is no server in this folder. */
async function versionOf(folder: string): Promise<string | undefined> {
  const program = join(folder, 'postgres');
  if (!existsSync(program)) return undefined;
  const { stdout } = await run(program, ['--version']);
  return /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1];
}

class Build {
  readonly #tree: string;
  readonly #progress: Progress;

  constructor(tree: string, progress: Progress) {
    this.#tree = tree;
    this.#progress = progress;
  }

  /** The clients and drivers of the suites: some seconds, for the server is not built. */
  async suites(source: string, work: string): Promise<void> {
    this.#progress.begin(`copying ${source}`);
    await succeed('rm', ['-rf', this.#tree]);
    await succeed('cp', ['-a', source, this.#tree], { limitMs: 300_000 });
    handOver(this.#tree);
    this.#progress.begin('configuring');
    // A tree that was built elsewhere remembers where.
    if (existsSync(join(this.#tree, 'GNUmakefile'))) await this.#command('make', ['-s', 'distclean']);
    await this.#command('./configure', [...CONFIGURE, `--prefix=${join(work, 'server')}`]);
    this.#progress.begin('building the suites');
    await this.#command('make', ['-s', '-C', 'src/backend', 'generated-headers']);
    for (const part of PARTS) await this.#make(['-C', part]);
    writeFileSync(join(this.#tree, BUILT), '');
    this.#progress.end('built the suites');
  }

  /** @returns the folder of its programs */
  async server(destination: string): Promise<string> {
    const programs = join(destination, 'bin');
    if (existsSync(join(programs, 'postgres'))) return programs;
    this.#progress.begin('building a server, since none of this version is installed (some minutes)');
    await this.#make([]);
    mkdirSync(destination, { recursive: true });
    handOver(destination);
    await this.#command('make', ['-s', `prefix=${destination}`, 'install']);
    this.#progress.end('built a server');
    return programs;
  }

  #make(args: readonly string[]): Promise<void> {
    return this.#command('make', ['-s', `-j${availableParallelism()}`, ...args]);
  }

  async #command(program: string, args: readonly string[]): Promise<void> {
    let printed = '';
    const { code } = await runGroup(program, args, {
      cwd: this.#tree,
      env: plainEnvironment({ LC_ALL: 'C' }),
      output: (text) => {
        printed = (printed + text).slice(-4000);
      },
    });
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed in ${this.#tree}:\n${printed}`);
  }
}
