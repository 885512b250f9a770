/** Cloning a standby from a running primary on this machine. */
import { join } from 'node:path';
import { AgentError, saysDiskFull } from './agent-error.js';
import { runToEnd } from './child-process.js';
import { copyOnline } from './clone-by-copy.js';
import type { CloneOrder, CopyOrder } from './clone-order.js';
import { markAsStandby, SUPERUSER } from './data-directory.js';
import { makeData, programFailed } from './node-folder.js';
import { LOOPBACK } from './ports.js';
import { recreateSlot, withConnection } from './replication.js';

/**
 * Makes `standby` a copy of the primary, ready to be started as its standby once its settings are written. Uses
 * pg_basebackup where it exists, else PostgreSQL's low-level backup functions and a copy of the files.
 */
export async function cloneStandby(order: CloneOrder): Promise<void> {
  const { standby, user, primaryPort, slot } = order;
  await makeData(standby, user, async () => {
    await withConnection(primaryPort, (client) => recreateSlot(client, slot));
    const withPrimary: CopyOrder['withPrimary'] = (work) => withConnection(primaryPort, work);
    const copyOrder = { ...order, primaryData: order.primary.data, withPrimary };
    if (order.binaries.pgBasebackup === null) await copyOnline(copyOrder);
    else await runBaseBackup(order, order.binaries.pgBasebackup);
    await markAsStandby(standby.data, user);
  });
}

async function runBaseBackup(order: CloneOrder, program: string): Promise<void> {
  const { standby, primaryPort, slot, user, signal, onPercent } = order;
  const args = [
    `--pgdata=${standby.data}`,
    `--dbname=host=${LOOPBACK} port=${primaryPort} user=${SUPERUSER} sslmode=disable`,
    `--slot=${slot}`,
    '--wal-method=stream',
    '--checkpoint=fast',
    '--progress',
    '--no-password',
    ...(await tablespaceMappings(order)),
  ];
  const onOutput = (text: string) => {
    const percent = lastPercent(text);
    if (percent !== null) onPercent(percent);
  };
  const { code, output } = await runToEnd(program, args, { user, signal, onOutput });
  if (code === 0) return;
  if (!saysDiskFull(output) && /could not connect|connection to server/.test(output)) {
    throw new AgentError(`cloning ${standby.name} failed: the primary can't be reached`, [output.trim()]);
  }
  throw programFailed('pg_basebackup', `cloning ${standby.name}`, output, standby.folder);
}

/** pg_basebackup's progress looks like `23301/23301 kB (100%), 1/1 tablespace`. */
export function lastPercent(text: string): number | null {
  const percent = [...text.matchAll(/\((\d+)%\)/g)].at(-1)?.[1];
  return percent === undefined ? null : Math.min(100, Number(percent));
}

/** Tablespaces lie outside the data folder, and two nodes of one machine can't share them. */
async function tablespaceMappings(order: CloneOrder): Promise<readonly string[]> {
  const { rows } = await withConnection(order.primaryPort, (client) =>
    client.query<{ oid: string; location: string }>(
      `SELECT oid::text, pg_tablespace_location(oid) AS location FROM pg_tablespace
       WHERE pg_tablespace_location(oid) LIKE '/%'`,
    ),
  );
  // An equals sign separates the two paths, and is escaped within them.
  const escaped = (path: string) => path.replaceAll('=', '\\=');
  return rows.map(
    ({ oid, location }) =>
      `--tablespace-mapping=${escaped(location)}=${escaped(join(order.standby.tablespaces, oid))}`,
  );
}
