/** PostgreSQL's data directory: making one with initdb, and the settings that we give a node. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFileError } from './agent-error.js';
import { runToEnd } from './child-process.js';
import { makeData, type NodeFolder, programFailed } from './node-folder.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { handOver, type ServerUser } from './server-user.js';

export const SUPERUSER = 'postgres';
const SETTINGS_FILE = 'sluice.conf';
/** Since this version PostgreSQL has Unicode's upper, lower and character classes without a library. */
const BUILTIN_LOCALE_MAJOR = 17;

/** A setting of postgresql.conf: a string is quoted, a number or a word of PostgreSQL's own goes as it is. */
export type ServerSettings = Readonly<Record<string, string | number | boolean>>;

/**
 * Creates a cluster with the superuser {@link SUPERUSER}, encoding UTF8, sorting by code point, and without
 * passwords for connections from this machine.
 */
export async function initialise(
  node: NodeFolder,
  binaries: PostgresBinaries,
  user: ServerUser | null,
  signal: AbortSignal,
): Promise<void> {
  const builtin = binaries.major >= BUILTIN_LOCALE_MAJOR;
  const args = [
    `--pgdata=${node.data}`,
    `--username=${SUPERUSER}`,
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    ...(builtin ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []),
  ];
  await makeData(node, user, async () => {
    const { code, output } = await runToEnd(binaries.initdb, args, { user, signal });
    if (code !== 0) throw programFailed('initdb', `creating the data of ${node.name}`, output, node.folder);
  });
}

/**
 * Writes a node's settings to a file of their own, which postgresql.conf includes at its end. They are written anew
 * at each start; what an operator sets with ALTER SYSTEM wins over them.
 */
export async function writeSettings(
  dataDirectory: string,
  settings: ServerSettings,
  user: ServerUser | null,
): Promise<void> {
  const mainFile = join(dataDirectory, 'postgresql.conf');
  const ownFile = join(dataDirectory, SETTINGS_FILE);
  try {
    const text = await readFile(mainFile, 'utf8');
    const include = `include_if_exists = '${SETTINGS_FILE}'`;
    if (!text.includes(include)) {
      await writeFile(
        mainFile,
        `${text}\n# What sluice sets for this node. Settings below this line win.\n${include}\n`,
      );
    }
    await writeFile(ownFile, formatSettings(settings), { mode: 0o600 });
    await handOver(ownFile, user);
  } catch (error) {
    throw explainFileError(error, dataDirectory);
  }
}

/** The text of a settings file. */
export function formatSettings(settings: ServerSettings): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${formatValue(value)}`);
  return ['# Written by sluice at each start: use ALTER SYSTEM for settings of your own.', ...lines, ''].join(
    '\n',
  );
}

/** Inside quotes, PostgreSQL reads backslash escapes and doubled quotes. */
function formatValue(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'number') return String(value);
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Makes a file in a data directory that PostgreSQL only looks for, or that holds what it told us to write. */
export async function writeServerFile(path: string, content: string, user: ServerUser | null): Promise<void> {
  await writeFile(path, content, { mode: 0o600, flush: true });
  await handOver(path, user);
}

/** Tells the next start that this is a standby (PostgreSQL's documentation, "Setting Up a Standby Server"). */
export async function markAsStandby(dataDirectory: string, user: ServerUser | null): Promise<void> {
  await writeServerFile(join(dataDirectory, 'standby.signal'), '', user);
}
