/** Reading PostgreSQL's log (in English: it is started with LC_ALL=C), and what it says about hopeless cases. */
import { open } from 'node:fs/promises';

const TAIL_BYTES = 16 * 1024;

/** What a standby logs when it will never be able to follow this primary. */
const CANNOT_FOLLOW =
  /requested WAL segment \S+ has already been removed|database system identifier differs between the primary and standby|is not in this server's history|highest timeline \d+ of the primary is behind recovery timeline|requested timeline \d+ is not a child|replication slot "[^"]+" (?:does not exist|has been invalidated)|can no longer (?:access|get changes from) replication slot/;

/** The line of a standby's log that says so, or null. */
export function cannotFollowReason(log: string): string | null {
  return CANNOT_FOLLOW.exec(log)?.[0] ?? null;
}

/** How often a server that is alone says that it waits for WAL until that is believed: once each second. */
const WAITS_FOR_WAL = 3;

/** What a server logs whose data and WAL don't belong together: so does one that was rewound by a file that said too little. */
const DATA_WITHOUT_WAL =
  /could not locate (?:a valid|required) checkpoint record|requested timeline \d+ (?:does not contain minimum recovery point|is not a child of this server's history)/;

/**
 * Whether a server that receives from nobody lacks WAL that its data need: it asks for more and is not consistent yet, doesn't find
 * the checkpoint that it should begin with, or has data that are beyond its timelines.
 */
export function lacksWal(log: string): boolean {
  if (DATA_WITHOUT_WAL.test(log)) return true;
  if (log.includes('consistent recovery state reached')) return false;
  return log.split('waiting for WAL to become available at').length > WAITS_FOR_WAL;
}

/** The last part of the file, from no earlier than `offset`. */
export async function readLogTail(path: string, offset: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(offset, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
