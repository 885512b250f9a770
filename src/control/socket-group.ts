/** Whom unix socket files belong to. */
import { chown, readFile } from 'node:fs/promises';
import type { SluiceConfig } from '../config/load.js';
import type { Logger } from './logging.js';

/** Gives the gateway's socket files to `unix_socket_group`. What can't be done is a warning, as in PgBouncer. */
export async function giveSocketsToGroup({ values, listen }: SluiceConfig, logger: Logger): Promise<void> {
  const { unix_socket_group: group } = values;
  if (group === '') return;
  for (const place of listen) {
    if (!('socketPath' in place)) continue;
    try {
      await chown(place.socketPath, process.getuid!(), await groupId(group));
    } catch (error) {
      logger.warn(
        `could not give ${place.socketPath} to group ${JSON.stringify(group)}: ${(error as Error).message}`,
      );
    }
  }
}

/** By number, or by name in the file of the system's groups. */
async function groupId(group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group);
  const lines = (await readFile('/etc/group', 'utf8')).split('\n').map((line) => line.split(':'));
  const found = lines.find(([name]) => name === group)?.[2];
  if (found === undefined) throw new Error('there is no such group');
  return Number(found);
}
