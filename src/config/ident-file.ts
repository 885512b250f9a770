/** `auth_ident_file`: user name maps, one line each: `map system-user database-user` (PgBouncer's manual, "Ident map"). */
import type { IdentMap } from '../core/hba.js';
import { TokenLine } from './hba-tokens.js';
import type { Problem } from './problem.js';

/** The maps by their names. Lines that can't be read are told, and left out. */
export function parseIdentFile(
  source: string,
  file: string,
): { readonly maps: ReadonlyMap<string, IdentMap>; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const lines = new Map<string, IdentMap['lines'][number][]>();
  for (const [index, text] of source.split('\n').entries()) {
    const read = parseLine(text);
    if (read === null) continue;
    if (typeof read === 'string') {
      const message = `could not parse ident config line ${index + 1}: ${read}`;
      problems.push({ origin: { kind: 'file', file, line: index + 1, column: 1 }, key: '', message });
      continue;
    }
    const { name, systemUser, user } = read;
    lines.set(name, [...(lines.get(name) ?? []), { systemUser, user }]);
  }
  const maps = new Map([...lines].map(([name, mapped]) => [name, { name, lines: mapped }]));
  return { maps, problems };
}

interface MapLine {
  readonly name: string;
  readonly systemUser: string;
  readonly user: string | null;
}

/** Null: nothing stands there. A text: what is wrong. */
function parseLine(text: string): MapLine | string | null {
  const line = new TokenLine(text);
  if (line.isAtEnd) return null;
  const name = line.take();
  if (name.kind !== 'word') return 'the name of a map is expected';
  const systemUser = line.take();
  if (!isName(systemUser.kind)) return 'a user of the system, or the name in a certificate, is expected';
  const all = line.takeKeyword('all');
  const user = all ? null : line.take();
  if (user !== null && !isName(user.kind)) return 'a database user is expected';
  if (!line.isAtEnd) return 'unsupported parameters';
  return { name: name.text, systemUser: systemUser.text, user: user?.text ?? null };
}

function isName(kind: string): boolean {
  return kind === 'word' || kind === 'quoted';
}
