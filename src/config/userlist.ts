/**
 * PgBouncer's user file (its manual, "Authentication file format"): one user a line, `"name" "secret"`, a `"` in
 * either is doubled, whatever follows is ignored; empty lines and lines that begin with `;` are skipped.
 */
import type { Origin, Problem } from './problem.js';

/** A line of the file. */
export interface UserlistEntry {
  readonly name: string;
  /** A password, `md5...` or `SCRAM-SHA-256$...`; empty: the user has no password. */
  readonly secret: string;
  readonly origin: Origin;
}

const ENTRY = /^\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"/;

/** The users that could be read, and what is wrong with the other lines. */
export function parseUserlist(
  source: string,
  file: string,
): { readonly entries: UserlistEntry[]; readonly problems: readonly Problem[] } {
  const entries: UserlistEntry[] = [];
  const problems: Problem[] = [];
  const seen = new Map<string, number>();
  source.split(/\r?\n/).forEach((line, index) => {
    if (/^\s*(;|$)/.test(line)) return;
    const origin: Origin = { kind: 'file', file, line: index + 1, column: 1 };
    const [, quotedName, quotedSecret] = ENTRY.exec(line) ?? [];
    if (quotedName === undefined || quotedSecret === undefined) {
      problems.push({ origin, key: '', message: 'expected "user" "secret", both in double quotes' });
      return;
    }
    const name = quotedName.replaceAll('""', '"');
    const earlier = seen.get(name);
    if (name === '') {
      problems.push({ origin, key: '', message: 'the user name is empty' });
    } else if (earlier !== undefined) {
      problems.push({
        origin,
        key: JSON.stringify(name),
        message: `this user stands in line ${earlier} already`,
      });
    }
    seen.set(name, index + 1);
    entries.push({ name, secret: quotedSecret.replaceAll('""', '"'), origin });
  });
  return { entries, problems };
}
