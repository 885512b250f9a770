/** What an operator is told when PostgreSQL on this machine can't be had as asked. */

/** Only what callers decide by: a port can be changed, a full disk can't be cured by cloning again, missing WAL can. */
export type AgentErrorKind = 'disk-full' | 'port-busy' | 'wal-missing' | 'other';

/** An expected failure: `message` says what happened, `advice` what to do about it. */
export class AgentError extends Error {
  /** Sentences or commands, one a line. */
  readonly advice: readonly string[];
  readonly kind: AgentErrorKind;

  constructor(message: string, advice: readonly string[] = [], kind: AgentErrorKind = 'other') {
    super(message);
    this.name = 'AgentError';
    this.advice = advice;
    this.kind = kind;
  }
}

/** PostgreSQL's and libc's words for ENOSPC and EDQUOT (messages are in English: children run with LC_ALL=C). */
const DISK_FULL =
  /No space left on device|Disk quota exceeded|wrote only \d+ of \d+ bytes|Check free disk space|ENOSPC|EDQUOT/;

/** True when a program's output or log says that the disk (or the quota) is full. */
export function saysDiskFull(text: string): boolean {
  return DISK_FULL.test(text);
}

/** The message for a full disk, wherever it was noticed. */
export function diskFull(folder: string): AgentError {
  return new AgentError(
    `the disk that holds ${folder} is full`,
    [
      'Free some space there (three small nodes need about 500 MB), or choose another folder with --data DIR.',
    ],
    'disk-full',
  );
}

/** Turns a file system error into what an operator can act on; anything else comes back as it is. */
export function explainFileError(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(path);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new AgentError(`${path} can't be written or read by this user (${code})`, [
      'Start as the user who owns it, or choose another folder with --data DIR.',
    ]);
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new AgentError(`${path} can't be a folder: a file stands in its way`, [
      'Choose another folder with --data DIR.',
    ]);
  }
  return error;
}

/** The `code` of a system error (`ENOENT`, ...), or null. */
export function errorCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
