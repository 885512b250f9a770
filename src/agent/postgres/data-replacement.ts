/**
 * Becoming as the primary is: by pg_rewind, which keeps what both have, or by a copy of everything. From the first change to
 * the last a mark stands beside the data, so that nobody takes what lies there for whole.
 */
import { readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Answer, Effect } from '../../cluster/inputs.js';
import type { Contact, Epoch } from '../../cluster/records.js';
import { runToEnd } from '../child-process.js';
import { lastPercent } from '../clone.js';
import { copyOnline } from '../clone-by-copy.js';
import { lastLines } from '../node-folder.js';
import { readControlFile } from './control-file.js';
import { keepWal } from './kept-wal.js';
import {
  forgetOwnConfiguration,
  keepOwnConfiguration,
  restoreOwnConfiguration,
} from './own-configuration.js';
import { withOwn } from './own-connection.js';
import { reachPrimary, tryNextSecret } from './primary-contact.js';
import type { Server } from './server.js';
import { AS_STARTED, conninfo } from './server-files.js';
import { emptyData, emptyFolder, makeDataFolder, markDamaged, unmark } from './state-folder.js';
import type { TermLedger } from './term-ledger.js';

type Command = Extract<Effect, { do: 'rewind' | 'clone' }>;

export type Replacement = Command & {
  readonly contact: Contact | null;
  readonly epoch: Epoch | null;
  readonly onProgress: (what: string | null) => void;
  /** Nothing was changed, since the primary can't be copied now. */
  readonly onNotBegun: (reason: string) => void;
};

/** Before a rewind: a clean end, which pg_rewind asks for. */
const STOP_MS = 10_000;
/** A primary's checkpoint after its promotion: before, pg_rewind would see its old timeline. */
const CHECKPOINT_MS = 60_000;
const POLL_MS = 100;
/** The backup begins with a checkpoint. */
const COPY_MS = 600_000;

/** Source of a copy. */
interface Source {
  readonly tablespaces: readonly { readonly oid: string; readonly location: string }[];
  readonly segmentBytes: number;
}

export async function replaceData(server: Server, ledger: TermLedger, order: Replacement): Promise<Answer> {
  const wasEnded = await server.stop(order.do === 'rewind' ? 'fast' : 'immediate', STOP_MS);
  if (!wasEnded) return { kind: 'failed' };
  await server.prepare();
  let source: Source;
  try {
    source = await askPrimary(server, order);
  } catch (error) {
    order.onNotBegun((error as Error).message);
    return { kind: 'not begun' };
  }
  if (order.keepFrom !== null) await keepOldWal(server, order, source.segmentBytes);
  await keepOwnConfiguration(server.paths);
  await markDamaged(server.paths, `a ${order.do} from ${order.primary} has not come to its end.`);
  if (order.do === 'rewind') await rewind(server, order);
  else await copy(server, order, source);
  await restoreOwnConfiguration(server.paths, server.settings.serverUser);
  await ledger.replace(order.epoch!.history);
  const hasAllWal = order.do === 'clone' && server.settings.binaries.pgBasebackup !== null;
  if (!hasAllWal) await finish(server, order);
  await unmark(server.paths);
  await forgetOwnConfiguration(server.paths);
  if (order.do === 'rewind') return { kind: 'rewound' };
  return { kind: 'cloned', systemIdentifier: order.epoch!.systemIdentifier };
}

/** Asks whether it is the primary of the epoch, and waits until its files say so, too. */
async function askPrimary(server: Server, { contact, epoch, primary }: Replacement): Promise<Source> {
  if (contact === null) throw new Error(`nobody knows where ${primary} is reached`);
  if (epoch === null || epoch.primary !== primary) throw new Error(`${primary} does not lead any more`);
  await tryNextSecret(server, contact);
  return withOwn(reachPrimary(server, contact), async (client) => {
    const deadline = performance.now() + CHECKPOINT_MS;
    for (;;) {
      const { rows } = await client.query(
        `SELECT pg_is_in_recovery() AS "isStandby", system_identifier::text AS "systemIdentifier",
                checkpoint.timeline_id AS timeline,
                (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment,
                (SELECT coalesce(json_agg(json_build_object('oid', oid::text, 'location', pg_tablespace_location(oid))), '[]')
                 FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%') AS tablespaces
         FROM pg_control_system(), pg_control_checkpoint() AS checkpoint`,
      );
      const [row] = rows;
      if (row.isStandby) throw new Error(`${primary} is a standby`);
      if (row.systemIdentifier !== epoch.systemIdentifier)
        throw new Error(`${primary} is of another cluster`);
      const { timeline } = epoch.history.at(-1)!;
      if (row.timeline === timeline)
        return { tablespaces: row.tablespaces, segmentBytes: Number(row.segment) };
      if (row.timeline > timeline)
        throw new Error(`${primary} is on timeline ${row.timeline}, not ${timeline}`);
      if (performance.now() > deadline) throw new Error(`${primary} has not ended its first checkpoint yet`);
      await pause(POLL_MS, undefined, { signal: server.closing });
    }
  });
}

async function keepOldWal(server: Server, order: Replacement, segmentBytes: number): Promise<void> {
  try {
    const kept = await keepWal(server.paths, {
      from: order.keepFrom!,
      primary: order.primary,
      segmentBytes,
    });
    server.logger.warn({ ...kept }, 'WAL that nobody else has was put aside');
  } catch (error) {
    server.logger.error(
      { reason: (error as Error).message },
      'WAL that nobody else has could not be put aside',
    );
  }
}

async function rewind(server: Server, order: Replacement): Promise<void> {
  order.onProgress('rewinding');
  const { settings, paths } = server;
  const program = join(settings.binaries.binDirectory, 'pg_rewind');
  const source = `${copyConninfo(server, order)} dbname=postgres`;
  const args = ['--target-pgdata', paths.data, '--source-server', source];
  await run(server, program, args, order);
}

async function copy(server: Server, order: Replacement, { tablespaces }: Source): Promise<void> {
  order.onProgress('cloning');
  const { settings, paths } = server;
  await makeDataFolder(paths, settings.serverUser);
  const walFolder = await readlink(server.wal).catch(() => null);
  if (walFolder !== null) await emptyFolder(walFolder);
  await emptyData(paths);
  const program = settings.binaries.pgBasebackup;
  if (program === null) return copyFiles(server, order);
  const source = copyConninfo(server, order);
  const escaped = (path: string) => path.replaceAll('=', '\\=');
  const mappings = tablespaces.map(
    ({ oid, location }) =>
      `--tablespace-mapping=${escaped(location)}=${escaped(join(paths.tablespaces, oid))}`,
  );
  const args = [
    ...[`--pgdata=${paths.data}`, `--dbname=${source}`, '--wal-method=stream', '--checkpoint=fast'],
    ...['--progress', '--no-password', ...mappings],
    ...(walFolder === null ? [] : [`--waldir=${walFolder}`]),
  ];
  await run(server, program, args, order);
}

/** Where there is no pg_basebackup: from a primary on this machine, whose files can be read. */
async function copyFiles(server: Server, order: Replacement): Promise<void> {
  const { settings, paths } = server;
  const reach = { ...reachPrimary(server, order.contact!), patienceMs: COPY_MS };
  const primaryData = await withOwn(reach, async (client) => {
    const { rows } = await client.query(`SELECT current_setting('data_directory') AS data`);
    return rows[0].data as string;
  });
  const control = await readControlFile(primaryData);
  if (control?.systemIdentifier !== order.epoch!.systemIdentifier) {
    throw new Error(
      `${settings.binaries.binDirectory} has no pg_basebackup, which a clone from another machine needs: install it there`,
    );
  }
  await copyOnline({
    ...{ standby: paths, primaryData, binaries: settings.binaries, user: settings.serverUser },
    withPrimary: (work) => withOwn(reach, work),
    signal: server.closing,
    onPercent: (percent) => order.onProgress(`cloning ${percent} %`),
  });
}

/** Under a name that no commit waits for: what has come to a copy that isn't whole is not on a standby. */
function copyConninfo({ settings, paths }: Server, { contact }: Replacement): string {
  return conninfo({ ...settings, node: `${settings.node} (copying)` }, contact!, paths.passfile);
}

async function run(
  server: Server,
  program: string,
  args: readonly string[],
  order: Replacement,
): Promise<void> {
  const { code, output } = await runToEnd(program, args, {
    user: server.settings.serverUser,
    signal: server.closing,
    onOutput: (text) => {
      const percent = lastPercent(text);
      if (percent !== null) order.onProgress(`cloning ${percent} %`);
    },
  });
  if (code !== 0) throw new Error([`${program} has failed`, ...lastLines(output)].join('\n'));
}

/**
 * Replays what the primary wrote while its files were copied, some of which has yet to come: before, the data isn't consistent, and
 * PostgreSQL would not answer.
 */
async function finish(server: Server, order: Replacement): Promise<void> {
  order.onProgress('catching up with the copy');
  await rm(join(server.paths.data, 'postmaster.pid'), { force: true });
  const primaryConninfo = copyConninfo(server, order);
  await server.start({ ...AS_STARTED, primaryConninfo, isOpen: false });
  if (!(await server.stop('fast', STOP_MS))) throw new Error('PostgreSQL did not end after the copy');
}
