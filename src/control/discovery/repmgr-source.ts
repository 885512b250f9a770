/** Nodes by repmgr's metadata: the table `repmgr.nodes`, which every node has (repmgr's documentation, "repmgr metadata"). */
import * as z from 'zod';
import { ConnectionStringError, parseConnectionString } from '../../config/connection-string.js';
import { serverAddress, serverAddresses } from '../../config/gateway-settings.js';
import type { NodesFrom } from '../../config/nodes-from.js';
import type { ServerAddress } from '../../core/io.js';
import type { NodeSettings } from '../../core/settings.js';
import {
  type AuthConnection,
  type AuthConnectionSettings,
  openAuthConnection,
} from '../authentication/auth-connection.js';
import { type Finding, FOUND_NODES_MAX, type NodeSource } from './node-source.js';

/** How such connections are encrypted: as all that lead to servers. */
export type RepmgrEncryption = Pick<AuthConnectionSettings, 'tlsMode' | 'tls'>;

/** Of one node: the others have answered by then. ms. */
const NODE_MS_MAX = 2000;
const TEXT_MAX = 1000;
const PORT = 5432;
const HEXADECIMAL = 16;

/** One row: the timeline of whoever answers, and what it has of the table, as JSON. */
const QUERY = `/* sluice: discovery */ SELECT
 CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,
 CASE WHEN pg_catalog.pg_is_in_recovery()
  THEN (SELECT pg_catalog.to_hex(timeline_id) FROM pg_catalog.pg_control_checkpoint())
  ELSE pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) END,
 (SELECT pg_catalog.json_agg(pg_catalog.row_to_json(n)) FROM
  (SELECT node_name, type, active, conninfo, location FROM repmgr.nodes
   WHERE type OPERATOR(pg_catalog.=) ANY ('{primary,standby}'::pg_catalog.text[])
   ORDER BY node_id LIMIT $1::pg_catalog.int4) AS n)::pg_catalog.text`;

const ROW = z.object({
  node_name: z.string().min(1).max(TEXT_MAX),
  type: z.enum(['primary', 'standby']),
  active: z.boolean(),
  conninfo: z.string().max(TEXT_MAX),
  location: z.string().max(TEXT_MAX),
});
type Row = z.output<typeof ROW>;

/** What one node has of the table. */
interface Copy {
  readonly isPrimary: boolean;
  readonly timeline: number;
  readonly rows: readonly Row[];
}

export class RepmgrSource implements NodeSource {
  readonly intervalMs = 2000;
  readonly #source: Extract<NodesFrom, { kind: 'repmgr' }>;
  readonly #settings: AuthConnectionSettings;
  readonly #configured: readonly ServerAddress[];
  readonly #connections = new Map<string, AuthConnection>();
  /** Beside those of the configuration. */
  #found: readonly ServerAddress[] = [];
  #isClosed = false;

  constructor(source: Extract<NodesFrom, { kind: 'repmgr' }>, encryption: RepmgrEncryption) {
    this.#source = source;
    this.#configured = serverAddresses({ host: source.host, port: [...source.ports] });
    this.#settings = {
      ...encryption,
      searchPath: 'pg_catalog',
      applicationName: 'sluice: discovery',
      connectTimeoutMs: NODE_MS_MAX,
      queryTimeoutMs: NODE_MS_MAX,
    };
  }

  /** Every node is asked, for one that was left behind has the table as it was; who is on the newest timeline is right. */
  async read(): Promise<Finding> {
    const places = new Map<string, ServerAddress>();
    for (const address of [...this.#configured, ...this.#found]) {
      places.set(JSON.stringify(address), address);
    }
    const all = [...places].slice(0, FOUND_NODES_MAX);
    const answers = await Promise.allSettled(all.map(([key, address]) => this.#ask(key, address)));
    const copies = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const best = copies.reduce<Copy | null>((one, other) => newerOf(one, other), null);
    if (best === null) throw new Error(troubleOf(answers));
    const nodes = best.rows.flatMap(nodeOf);
    this.#found = nodes.map(({ address }) => address);
    this.#closeBut(
      new Set([...all.map(([key]) => key), ...this.#found.map((address) => JSON.stringify(address))]),
    );
    const leaders = best.rows.filter(({ type, active }) => type === 'primary' && active);
    const word = leaders.length === 1 ? { leader: leaders[0]!.node_name, timeline: 0 } : null;
    return { nodes, word };
  }

  close(): void {
    this.#isClosed = true;
    this.#closeBut(new Set());
  }

  async #ask(key: string, address: ServerAddress): Promise<Copy> {
    const connection = await this.#connect(key, address);
    try {
      return copyOf((await connection.ask(QUERY, String(FOUND_NODES_MAX))).row);
    } catch (error) {
      connection.close();
      this.#connections.delete(key);
      throw error;
    }
  }

  async #connect(key: string, address: ServerAddress): Promise<AuthConnection> {
    const known = this.#connections.get(key);
    if (known !== undefined && !known.isClosed) return known;
    const { database, user, password } = this.#source;
    const target = {
      addresses: [address],
      nodesOf: null,
      database,
      user,
      secret: { password, md5: null, scram: null },
    };
    const connection = await openAuthConnection(target, this.#settings);
    if (this.#isClosed) {
      connection.close();
      throw new Error('given up');
    }
    this.#connections.set(key, connection);
    return connection;
  }

  #closeBut(kept: ReadonlySet<string>): void {
    for (const [key, connection] of this.#connections) {
      if (kept.has(key)) continue;
      connection.close();
      this.#connections.delete(key);
    }
  }
}

function newerOf(one: Copy | null, other: Copy): Copy {
  if (one === null || other.timeline > one.timeline) return other;
  return other.timeline === one.timeline && other.isPrimary && !one.isPrimary ? other : one;
}

function troubleOf(answers: readonly PromiseSettledResult<Copy>[]): string {
  const reasons = answers.flatMap((answer) =>
    answer.status === 'rejected' ? [(answer.reason as Error).message] : [],
  );
  return [...new Set(reasons)].join('; ') || 'there is nobody to be asked';
}

function copyOf(row: readonly (string | null)[] | null): Copy {
  const [role, timeline, json] = row ?? [];
  const rows = z.array(ROW).safeParse(JSON.parse(json ?? '[]'));
  if (!rows.success) throw new Error('repmgr.nodes is not as repmgr makes it');
  return {
    isPrimary: role === 'primary',
    timeline: Number.parseInt(timeline ?? '', HEXADECIMAL),
    rows: rows.data,
  };
}

/** One whose place isn't told can't be reached from here. */
function nodeOf({ node_name: name, conninfo, location }: Row): NodeSettings[] {
  const place = placeOf(conninfo);
  if (place === null) return [];
  const zone = location === 'default' ? '' : location;
  return [{ name, address: serverAddress(place.host, place.port), weight: 1, zone }];
}

/** Where libpq would connect to by this text of keywords and values (PostgreSQL, "Connection Strings"). */
function placeOf(conninfo: string): { readonly host: string; readonly port: number } | null {
  try {
    const pairs = new Map(parseConnectionString(conninfo).map(({ key, value }) => [key, value]));
    const host = pairs.get('host') ?? pairs.get('hostaddr');
    const port = Number(pairs.get('port') ?? PORT);
    return host === undefined || !Number.isInteger(port) || port < 1 || port > 65_535 ? null : { host, port };
  } catch (error) {
    if (error instanceof ConnectionStringError) return null;
    throw error;
  }
}
