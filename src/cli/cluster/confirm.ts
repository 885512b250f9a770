/** A question before something that can't be taken back. */
import { createInterface } from 'node:readline/promises';
import { UsageError } from '../usage-error.js';

/** True if the operator says yes. Where nobody can be asked, `--yes` must say it. */
export async function isConfirmed(question: string, isSaid: boolean): Promise<boolean> {
  if (isSaid) return true;
  if (process.stdin.isTTY !== true) throw new UsageError('nobody can be asked here: say --yes');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
