/** A node's own configuration within its data folder, which a rewind or a clone replaces by the primary's. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerUser } from '../server-user.js';
import { writeDurably } from './state-folder.js';

const FILES = ['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'];

/** What there is of it, by file. */
export type OwnConfiguration = ReadonlyMap<string, string>;

export async function readOwnConfiguration(data: string): Promise<OwnConfiguration> {
  const files = new Map<string, string>();
  for (const name of FILES) {
    const text = await readFile(join(data, name), 'utf8').catch(() => null);
    if (text !== null) files.set(name, text);
  }
  return files;
}

/** A node that had none keeps the primary's. */
export async function restoreOwnConfiguration(
  data: string,
  own: OwnConfiguration,
  user: ServerUser | null,
): Promise<void> {
  for (const [name, text] of own) await writeDurably(join(data, name), text, user);
}
