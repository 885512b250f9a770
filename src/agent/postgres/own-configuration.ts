/**
 * A node's own configuration within its data folder, which a rewind or a clone replaces by the primary's. A copy of it lies beside
 * the data until that has come to its end, so that an agent that dies meanwhile loses nothing of it.
 */
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerUser } from '../server-user.js';
import { type NodePaths, readMark, syncFolder, writeDurably } from './state-folder.js';

const FILES = ['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'];

/** Puts it aside, before the data are marked. What a replacement that was broken off has put aside stays: the data's is no longer the node's. */
export async function keepOwnConfiguration(paths: NodePaths): Promise<void> {
  if ((await readMark(paths)) !== null) return;
  const draft = `${paths.ownConfiguration}.new`;
  await forgetOwnConfiguration(paths);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  for (const name of FILES) {
    const text = await readFile(join(paths.data, name), 'utf8').catch(() => null);
    if (text !== null) await writeDurably(join(draft, name), text, null);
  }
  await rename(draft, paths.ownConfiguration);
  await syncFolder(paths.folder);
}

/** Puts it back. A node that had none keeps the primary's. */
export async function restoreOwnConfiguration(paths: NodePaths, user: ServerUser | null): Promise<void> {
  for (const name of FILES) {
    const text = await readFile(join(paths.ownConfiguration, name), 'utf8').catch(() => null);
    if (text !== null) await writeDurably(join(paths.data, name), text, user);
  }
}

/** When the data are whole again; until then it stays, whoever asks: it is all that is left of it. */
export async function forgetOwnConfiguration(paths: NodePaths): Promise<void> {
  if ((await readMark(paths)) !== null) return;
  await rm(paths.ownConfiguration, { recursive: true, force: true });
}
