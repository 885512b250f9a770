/**
 * `auth_hba_file`: rules like those of PostgreSQL's `pg_hba.conf`, of which PgBouncer understands a part (its manual,
 * "HBA file format"). Every line is read by itself; what is wrong with one is told in PgBouncer's words.
 */
import type { AddressRange, HbaMethod, HbaNames, HbaRule, IdentMap } from '../core/hba.js';
import { parseIpAddress } from '../core/ip-address.js';
import { TokenLine } from './hba-tokens.js';
import { parseLdapOptions } from './ldap-options.js';
import type { Problem } from './problem.js';

/** What the lines may refer to. */
export interface HbaReferences {
  readonly file: string;
  readonly maps: ReadonlyMap<string, IdentMap>;
  /**
   * The text of a file named by `@file`, which counts from the folder of the file that names it; null: unreadable.
   * @param from the file that names it
   */
  readIncluded(name: string, from: string): { readonly path: string; readonly text: string } | null;
}

export interface HbaFile {
  readonly rules: readonly HbaRule[];
  /** Each names a line that does not do what it seems to. */
  readonly problems: readonly Problem[];
}

const CONNECTIONS = ['local', 'host', 'hostssl', 'hostnossl'] as const;
const METHODS: Readonly<Record<string, HbaMethod>> = Object.freeze({
  trust: 'trust',
  reject: 'reject',
  md5: 'md5',
  password: 'plain',
  peer: 'peer',
  cert: 'cert',
  'scram-sha-256': 'scram-sha-256',
  ldap: 'ldap',
});
/** Files that name files that name files. */
const INCLUDE_DEPTH_MAX = 10;

/** Reads all lines. One that can't be read is left out. */
export function parseHbaFile(source: string, references: HbaReferences): HbaFile {
  const rules: HbaRule[] = [];
  const problems: Problem[] = [];
  for (const [index, text] of source.split('\n').entries()) {
    const line = index + 1;
    const say = (message: string): void => {
      const origin = { kind: 'file', file: references.file, line, column: 1 } as const;
      problems.push({ origin, key: '', message });
    };
    try {
      const rule = new LineReader(text, line, references, say).read();
      if (rule !== null) rules.push(rule);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      say(`could not parse hba config line ${line}: ${error.message}`);
    }
  }
  return { rules, problems };
}

class LineError extends Error {}

class LineReader {
  private readonly line: TokenLine;
  private readonly number: number;
  private readonly references: HbaReferences;
  private readonly warn: (message: string) => void;

  constructor(text: string, number: number, references: HbaReferences, warn: (message: string) => void) {
    this.line = new TokenLine(text);
    this.number = number;
    this.references = references;
    this.warn = warn;
  }

  /**
   * Null: nothing stands there.
   * @throws {LineError}
   */
  read(): HbaRule | null {
    const { line } = this;
    if (line.isAtEnd) return null;
    const connection = CONNECTIONS.find((word) => line.takeKeyword(word));
    if (connection === undefined) throw new LineError('unknown type');
    const databases = this.names(line, this.references.file, 0);
    const users = this.names(line, this.references.file, 0);
    const addresses = connection === 'local' ? null : this.addresses();
    const found = line.take();
    const method = found.kind === 'word' ? METHODS[found.text] : undefined;
    if (method === undefined) throw new LineError(`unsupported method: ${found.text}`);
    const rule = { line: this.number, connection, databases, users, addresses, method };
    if (method === 'ldap') return { ...rule, map: null, ldap: this.ldap(found.text) };
    const map = this.map();
    if (!line.isAtEnd) throw new LineError('unsupported parameters');
    return { ...rule, map, ldap: null };
  }

  /** The rest of the line. A rule with bad options stays, so that what it is about falls to no later line. */
  private ldap(word: string): HbaRule['ldap'] {
    const options = parseLdapOptions(this.line.remaining);
    if (typeof options !== 'string') return options;
    this.warn(`hba line ${this.number}: nobody can log in by this ${word} line: ${options}`);
    return null;
  }

  /** A column of databases or users: names with commas between. */
  private names(line: TokenLine, from: string, depth: number): HbaNames {
    const column = { all: false, same: false, replication: false, names: new Set<string>() };
    do {
      this.name(line, column, from, depth);
    } while (line.takeComma());
    return column;
  }

  private name(
    line: TokenLine,
    column: { all: boolean; same: boolean; replication: boolean; names: Set<string> },
    from: string,
    depth: number,
  ): void {
    const { kind, text } = line.take();
    if (kind === 'quoted') {
      column.names.add(text);
    } else if (kind !== 'word') {
      throw new LineError('a name is expected');
    } else if (text === 'all') {
      column.all = true;
    } else if (text === 'sameuser') {
      column.same = true;
    } else if (text === 'replication') {
      column.replication = true;
    } else if (text === 'samerole' || text === 'samegroup') {
      throw new LineError(`${text} is not supported`);
    } else if (text.startsWith('+')) {
      throw new LineError('roles (+name) are not supported');
    } else if (text.startsWith('@')) {
      this.include(text.slice(1), column, from, depth);
    } else {
      column.names.add(text);
    }
  }

  private include(
    name: string,
    column: { all: boolean; same: boolean; replication: boolean; names: Set<string> },
    from: string,
    depth: number,
  ): void {
    const included = depth < INCLUDE_DEPTH_MAX ? this.references.readIncluded(name, from) : null;
    if (included === null) throw new LineError(`cannot read the file of @${name}`);
    for (const text of included.text.split('\n')) {
      const line = new TokenLine(text);
      if (line.isAtEnd) continue;
      const more = this.names(line, included.path, depth + 1);
      column.all ||= more.all;
      column.same ||= more.same;
      column.replication ||= more.replication;
      for (const one of more.names) column.names.add(one);
    }
  }

  /** `all`, `10.0.0.0/8`, `::1/128`, or an address and a mask. */
  private addresses(): AddressRange | null {
    const { line } = this;
    if (line.takeKeyword('all')) return null;
    const found = line.take();
    if (found.kind !== 'word') throw new LineError('did not find address');
    const [address, bits] = found.text.split('/', 2) as [string, string | undefined];
    const base = parseIpAddress(address);
    if (base === null) throw new LineError(`failed to parse address - ${address}`);
    const mask = bits === undefined ? this.mask(base) : maskOfBits(bits, base.length);
    if (mask === null) throw new LineError('invalid mask');
    if (base.some((byte, at) => (byte & ~mask[at]! & 0xff) !== 0)) {
      this.warn(`address does not match mask in line ${this.number}: no client fits ${found.text}`);
    }
    return { base, mask };
  }

  private mask(base: Uint8Array): Uint8Array {
    const { kind, text } = this.line.take();
    if (kind !== 'word') throw new LineError('did not find mask');
    const mask = parseIpAddress(text);
    if (mask?.length !== base.length) throw new LineError(`failed to parse mask: ${text}`);
    return mask;
  }

  private map(): IdentMap | null {
    if (this.line.current.kind !== 'word') return null;
    const { text } = this.line.take();
    if (!text.startsWith('map=')) {
      throw new LineError(`Ident map ${text} is malformed. It is not in map=value format.`);
    }
    const name = text.slice('map='.length);
    const map = this.references.maps.get(name);
    if (map === undefined) throw new LineError(`Ident map ${name} is not found in ident config file`);
    return map;
  }
}

function maskOfBits(text: string, bytes: number): Uint8Array | null {
  const bits = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(bits <= bytes * 8)) return null;
  return Uint8Array.from({ length: bytes }, (_, at) => {
    const ones = Math.min(8, Math.max(0, bits - at * 8));
    return (0xff00 >> ones) & 0xff;
  });
}
