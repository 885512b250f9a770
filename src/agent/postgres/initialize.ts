/** A data folder's beginning: for the node that begins a cluster. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stopped } from '../../cluster/inputs.js';
import { AgentError } from '../agent-error.js';
import { runToEnd } from '../child-process.js';
import { lockFolder } from '../folder-lock.js';
import { endProcessesIn } from '../guard/end-processes.js';
import { programFailed } from '../node-folder.js';
import type { PostgresSettings } from './postgres-side.js';
import { AS_STARTED, ServerFiles } from './server-files.js';
import {
  emptyData,
  inspectStopped,
  makeDataFolder,
  makeStateFolder,
  markDamaged,
  type NodePaths,
  nodePaths,
  readMark,
  realData,
  unmark,
  writeDurably,
} from './state-folder.js';

const WORK = 'initdb';

/** What lies in the data folder, without changing anything. For data that nobody runs on. */
export function inspectData(settings: Pick<PostgresSettings, 'node' | 'data'>): Promise<Stopped> {
  return inspectStopped(nodePaths(settings));
}

/** Whether an earlier initdb was broken off: what it has left is of no value. */
export async function isHalfInitialized(settings: Pick<PostgresSettings, 'node' | 'data'>): Promise<boolean> {
  return (await readMark(nodePaths(settings)))?.includes(WORK) ?? false;
}

/**
 * {@link initializeData}, while nobody else has the folder.
 * @throws {AgentError} another agent has it, too
 */
export async function initializeAlone(settings: PostgresSettings): Promise<void> {
  const paths = nodePaths(settings);
  await makeStateFolder(paths, settings.serverUser);
  const lock = await lockFolder(paths.lock, new Date());
  try {
    await initializeData(settings);
  } finally {
    await lock.release();
  }
}

/**
 * Makes data by initdb where there is none. Without a password of the superuser everybody on this machine is let in.
 * @throws {AgentError} the folder is not empty, or initdb has failed
 */
export async function initializeData(settings: PostgresSettings): Promise<void> {
  const { serverUser, binaries, superuser } = settings;
  const paths = nodePaths(settings);
  const { data } = await inspectStopped(paths);
  if (data === 'whole') throw new AgentError(`${paths.data} holds a PostgreSQL already`);
  const wasInterrupted = await isHalfInitialized(settings);
  if (data === 'damaged' && !wasInterrupted) {
    throw new AgentError(`${paths.data} is not empty`, ['Name an empty folder.']);
  }
  await makeStateFolder(paths, serverUser);
  await makeDataFolder(paths, serverUser);
  if (wasInterrupted) await discard(paths);
  await markDamaged(paths, `${WORK} has not come to its end.`);
  const passwordFile = join(paths.folder, 'initdb-password');
  try {
    const methods =
      superuser.password === null ? ['--auth=trust'] : ['--auth-local=peer', '--auth-host=scram-sha-256'];
    if (superuser.password !== null) await writeDurably(passwordFile, `${superuser.password}\n`, serverUser);
    const args = [
      ...[`--pgdata=${paths.data}`, `--username=${superuser.user}`, '--encoding=UTF8', '--locale=C'],
      ...['--data-checksums', ...methods],
      ...(superuser.password === null ? [] : [`--pwfile=${passwordFile}`]),
    ];
    const { code, output } = await runToEnd(binaries.initdb, args, { user: serverUser });
    if (code !== 0)
      throw programFailed('initdb', `creating the data of ${settings.node}`, output, paths.folder);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await noteSettings(settings, paths);
  await unmark(paths);
}

/** Programs of an agent that was killed may write still. */
async function discard(paths: NodePaths): Promise<void> {
  const data = await realData(paths);
  if (data !== null && !(await endProcessesIn(data))) {
    throw new AgentError(`processes work in ${paths.data} that can't be ended`, [
      'End them, and start again.',
    ]);
  }
  await emptyData(paths);
}

/**
 * A standby refuses limits that are lower than those of the last primary, and every start is one of a standby. So the new data
 * are opened once as a primary's, by nobody else, with the limits that they are to have.
 */
async function noteSettings(settings: PostgresSettings, paths: NodePaths): Promise<void> {
  const files = new ServerFiles(settings, paths);
  await files.prepare();
  await files.write(AS_STARTED);
  const args = ['--single', '-D', paths.data, ...files.arguments, 'postgres'];
  const { code, output } = await runToEnd(settings.binaries.postgres, args, { user: settings.serverUser });
  if (code !== 0)
    throw programFailed('postgres', `opening the data of ${settings.node}`, output, paths.folder);
}
