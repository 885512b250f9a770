/** The images under test: built from this tree, on bases that lie in podman's storage. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { succeed } from '../harness/command.js';
import { hasImage } from './podman.js';

const BASES = ['build', 'gateway', 'node'] as const;
const BASES_PROGRAM = fileURLToPath(new URL('../../../test/images/bases', import.meta.url));
const BUILD_PROGRAM = fileURLToPath(new URL('../../../deploy/image/build', import.meta.url));
const MAKE_LIMIT_MS = 20 * 60_000;

/** Whether all bases are there: making them takes minutes, what is built on them seconds. */
export function hasBases(): boolean {
  return BASES.every((base) => hasImage(baseName(base)));
}

/** Makes the bases that are not there. */
export async function makeBases(): Promise<void> {
  await succeed(BASES_PROGRAM, [], { limitMs: MAKE_LIMIT_MS });
}

/** Builds both images, and returns what the script says at last of each: its name and size. */
export async function buildImages(): Promise<string[]> {
  const bases = BASES.flatMap((base) => [`--${base}-base`, baseName(base)]);
  const npmrc = join(homedir(), '.npmrc');
  const authorities = process.env.NODE_EXTRA_CA_CERTS;
  const args = [
    ...['--engine', 'buildah', '--network', 'host', ...bases],
    ...(existsSync(npmrc) ? ['--npmrc', npmrc] : []),
    ...(authorities === undefined ? [] : ['--authorities', authorities]),
  ];
  const printed = await succeed(BUILD_PROGRAM, args, {
    env: { BUILDAH_ISOLATION: 'chroot' },
    limitMs: MAKE_LIMIT_MS,
  });
  return printed.split('\n').filter((line) => /^sluice-\w+:\S+: /.test(line));
}

function baseName(base: string): string {
  return `localhost/sluice-test-${base}`;
}
