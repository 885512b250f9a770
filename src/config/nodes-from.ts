/** What `nodes_from` of a database means: whom to ask which nodes there are, with the secrets that stand in files. */
import type { OriginMap } from './origin-map.js';
import { formatKey, type Problem } from './problem.js';
import { type NodesFromValues, nodesFromName } from './schema/nodes-from.js';
import type { ConfigValues } from './schema.js';
import { Section } from './section.js';
import { parseServerUrl } from './server-url.js';
import { parsePlace } from './value-types.js';

/** A source of nodes. Holds secrets, but for its name. */
export type NodesFrom = { readonly name: string } & (
  | { readonly kind: 'dns'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'kubernetes';
      readonly selector: string;
      readonly port: number;
      /** Null: what the pod knows. */
      readonly namespace: string | null;
      readonly server: string | null;
      /** Paths of files that are replaced from time to time. */
      readonly tokenFile: string | null;
      readonly caFile: string | null;
    }
  | {
      readonly kind: 'patroni';
      readonly endpoints: readonly string[];
      /** PEM texts; null: not configured. */
      readonly ca: string | null;
      readonly cert: string | null;
      readonly key: string | null;
    }
  | {
      readonly kind: 'repmgr';
      /** Several hosts with commas between, and as many ports or one. */
      readonly host: string;
      readonly ports: readonly number[];
      readonly database: string;
      readonly user: string;
      readonly password: string | null;
    }
);

const KINDS = ['dns', 'kubernetes', 'patroni', 'repmgr'] as const;
const ONE_KIND = `name one source: ${KINDS.join(', ')}`;
/** Keys that mean nothing without Patroni. */
const PATRONI_KEYS = ['ca_file', 'cert_file', 'key_file'] as const;
const NODES_OF_BOTH = 'a database has either host and port, or a cluster, or nodes_from';

/** All sources that databases name, by their names; reads their files. Adds what is wrong to the problems. */
export async function readNodesFrom(
  { databases }: ConfigValues,
  origins: OriginMap,
  problems: Problem[],
): Promise<ReadonlyMap<string, NodesFrom>> {
  const sources = new Map<string, NodesFrom>();
  for (const [database, { nodes_from: values, cluster }] of Object.entries(databases)) {
    if (values === undefined) continue;
    const path = ['databases', database, 'nodes_from'];
    if (cluster !== undefined) {
      problems.push({ origin: origins.get(path), key: formatKey(path), message: NODES_OF_BOTH });
    }
    const source = await readSource(values, new Section(origins, problems, path));
    if (source !== null) sources.set(source.name, source);
  }
  return sources;
}

async function readSource(values: NodesFromValues, section: Section): Promise<NodesFrom | null> {
  if (KINDS.filter((kind) => values[kind] !== undefined).length !== 1) {
    section.refuse([], ONE_KIND);
    return null;
  }
  if (values.patroni === undefined) {
    for (const key of PATRONI_KEYS) {
      if (values[key] !== undefined) section.refuse([key], 'this belongs to patroni');
    }
  }
  const source = { name: nodesFromName(values) };
  if (values.dns !== undefined) return { ...source, kind: 'dns', ...parsePlace(values.dns)! };
  if (values.kubernetes !== undefined) return { ...source, ...readKubernetes(values.kubernetes, section) };
  if (values.repmgr !== undefined) return { ...source, ...readRepmgr(values.repmgr) };
  return { ...source, ...(await readPatroni(values, values.patroni!, section)) };
}

function readKubernetes(
  { selector, port, namespace, server, token_file, ca_file }: NonNullable<NodesFromValues['kubernetes']>,
  section: Section,
) {
  const path = (key: 'token_file' | 'ca_file', value: string | undefined) =>
    value === undefined ? null : section.path(['kubernetes', key], value);
  return {
    kind: 'kubernetes' as const,
    ...{ selector, port, namespace: namespace ?? null, server: server ?? null },
    tokenFile: path('token_file', token_file),
    caFile: path('ca_file', ca_file),
  };
}

async function readPatroni(values: NodesFromValues, endpoints: readonly string[], section: Section) {
  if ((values.cert_file === undefined) !== (values.key_file === undefined)) {
    section.refuse([], 'cert_file and key_file belong together');
  }
  const read = (key: (typeof PATRONI_KEYS)[number]) => section.read([key], values[key]);
  const [ca, cert, key] = await Promise.all([read('ca_file'), read('cert_file'), read('key_file')]);
  return { kind: 'patroni' as const, endpoints, ca, cert, key };
}

function readRepmgr(url: string) {
  const { host = '127.0.0.1', port = '5432', dbname, user, password } = parseServerUrl(url);
  return {
    ...{ kind: 'repmgr' as const, host, ports: port.split(',').map(Number) },
    database: dbname ?? 'repmgr',
    user: user!,
    password: password ?? null,
  };
}
