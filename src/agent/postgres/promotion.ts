/** A promotion, and what is left of one that came to no end. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Position } from '../../cluster/position.js';
import { closeToClients } from './client-doors.js';
import { readControlFile } from './control-file.js';
import { primaryPosition } from './position.js';
import { ensureReplicationUser } from './replication-user.js';
import type { Server } from './server.js';
import { NOBODY } from './server-files.js';
import { syncFolder, writeDurably } from './state-folder.js';
import type { TermLedger } from './term-ledger.js';
import {
  findHistories,
  historyPath,
  placeholderText,
  readHistory,
  timelineName,
} from './timeline-history.js';

/** All that was received is replayed before. The lease ends a promotion that takes longer. */
const PROMOTE_MS = 60_000;
const POLL_MS = 3;

/**
 * Makes a standby that receives nothing the primary, on a timeline above `above`. Clients are kept out, and no commit is
 * acknowledged to those that are in (nobody's name is the one that commits wait for) until the list and the doors are changed.
 */
export async function promote(
  server: Server,
  ledger: TermLedger,
  { term, above }: { readonly term: number; readonly above: number },
): Promise<Position> {
  const { newest } = await findHistories(server.wal);
  const expected = Math.max(newest, above) + 1;
  const isShut = server
    .reload({ isOpen: false, synchronousStandbyNames: NOBODY })
    .then(() => closeToClients(server));
  const isNoted = ledger
    .beginPromotion({ timeline: expected, term })
    .then(() => leaveOut(server, newest + 1, expected - 1));
  await Promise.all([isShut, isNoted]);
  await server.query('SELECT pg_promote(false)');
  await untilPromoted(server);
  await server.markAsStandby();
  const { timeline, position } = await primaryPosition(server, ledger);
  if (timeline !== expected) throw new Error(`the new timeline is ${timeline}, and not ${expected}`);
  await ledger.endPromotion(position.history.at(-1)!);
  await ensureReplicationUser(server);
  return position;
}

/**
 * PostgreSQL takes the first number for which there is no history file, and standbys fetch the files of all numbers in
 * between. So there are files that say nothing; PostgreSQL ignores them as timelines to follow.
 */
async function leaveOut({ wal, settings }: Server, first: number, last: number): Promise<void> {
  for (let timeline = first; timeline <= last; timeline++) {
    await writeDurably(historyPath(wal, timeline), placeholderText(), settings.serverUser);
  }
}

async function untilPromoted(server: Server): Promise<void> {
  const deadline = performance.now() + PROMOTE_MS;
  for (;;) {
    const [row] = await server.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    if (row?.standby === false) return;
    if (performance.now() > deadline) throw new Error('it is a standby still');
    await pause(POLL_MS);
  }
}

/**
 * Of a promotion that came to no end numbers may have stayed behind. As long as PostgreSQL's control file doesn't know of the
 * new timeline nothing has been written on it: then it goes, so that it can't be taken for another one of the same
 * number. To be called before a start.
 */
export async function undoUnfinished({ wal, paths }: Server, ledger: TermLedger): Promise<void> {
  const promotion = await ledger.promotion();
  const known = (await readControlFile(paths.data))?.timeline ?? null;
  const isVoid = promotion !== null && known !== null && known < promotion.timeline;
  if (isVoid) {
    for (const name of await readdir(wal)) {
      if (name.startsWith(timelineName(promotion.timeline))) await rm(join(wal, name));
    }
  }
  const { newest, placeholders } = await findHistories(wal);
  // Behind the newest timeline one would be taken for the timeline to recover to.
  const stray = placeholders.filter((timeline) => timeline > newest);
  for (const timeline of stray) await rm(historyPath(wal, timeline));
  if (stray.length > 0 || isVoid) await syncFolder(wal);
  if (promotion === null) return;
  if (isVoid || promotion.timeline > newest) return ledger.forgetPromotion();
  const { from } = (await readHistory(wal, promotion.timeline)).at(-1)!;
  await ledger.endPromotion({ ...promotion, from });
}
