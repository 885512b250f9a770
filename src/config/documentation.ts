/** docs/configuration.md and the JSON Schema, made from the schema so that they can't disagree with it. */
import * as z from 'zod';
import { agentSchema } from './agent-schema.js';
import { nodesFromFields } from './schema/nodes-from.js';
import { configSchema } from './schema.js';

/** The part of a property's JSON Schema that the documentation uses. */
interface PropertySchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly 'x-group'?: string;
  readonly 'x-type'?: string;
  readonly 'x-unit'?: string;
  readonly 'x-pgbouncer'?: string;
  readonly 'x-instead'?: string;
  readonly 'x-reload'?: boolean;
}

interface ObjectSchema extends PropertySchema {
  readonly properties: Readonly<Record<string, PropertySchema>>;
}

/** The JSON Schema (draft 2020-12) of a configuration file, for editors and checks elsewhere. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' }) as Record<string, unknown>;
}

/** The whole of docs/configuration.md. */
export function configMarkdown(): string {
  const schema = configJsonSchema() as unknown as ObjectSchema;
  const groups = new Map<string, [string, PropertySchema][]>();
  for (const [name, property] of Object.entries(schema.properties)) {
    const group = property['x-group'];
    if (group === undefined) continue;
    groups.set(group, [...(groups.get(group) ?? []), [name, property]]);
  }
  const sections = [...groups].map(
    ([group, settings]) => `## ${group}\n\n${settings.map(describe).join('\n\n')}`,
  );
  const lists = Object.entries({ databases: DATABASES_TEXT, users: USERS_TEXT, peers: PEERS_TEXT }).map(
    ([name, introduction]) => `## ${name}\n\n${introduction}\n\n${keyTable(entrySchema(schema, name))}`,
  );
  const cluster = `## cluster\n\n${CLUSTER_TEXT}\n\n${keyTable(schema.properties.cluster as ObjectSchema)}`;
  lists.splice(1, 0, `## nodes_from\n\n${NODES_FROM_TEXT}\n\n${keyTable(nodesFromSchema())}`);
  return `${[INTRODUCTION, ...sections, ...lists, cluster, agentFile()].join('\n\n')}\n`;
}

/** The JSON Schema of an agent's file. */
export function agentJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(agentSchema, { io: 'input', target: 'draft-2020-12' }) as Record<string, unknown>;
}

function agentFile(): string {
  const { properties, ...schema } = agentJsonSchema() as unknown as ObjectSchema;
  const cluster: PropertySchema = { 'x-type': 'mapping', description: 'The section `cluster`, as above.' };
  const table = keyTable({ ...schema, properties: { ...properties, cluster } });
  return `## The agent's file\n\n${AGENT_TEXT}\n\n${table}`;
}

function nodesFromSchema(): ObjectSchema {
  const options = { io: 'input', target: 'draft-2020-12' } as const;
  return z.toJSONSchema(nodesFromFields, options) as unknown as ObjectSchema;
}

/** The mapping form of an entry of one of the lists. */
function entrySchema(schema: ObjectSchema, name: string): ObjectSchema {
  const record = schema.properties[name] as {
    additionalProperties: ObjectSchema | { anyOf: ObjectSchema[] };
  };
  const entry = record.additionalProperties;
  return 'anyOf' in entry ? entry.anyOf.find((branch) => 'properties' in branch)! : entry;
}

function describe([name, property]: [string, PropertySchema]): string {
  const unit = property['x-unit'] === undefined ? '' : ` (${property['x-unit']})`;
  const facts = [`Type: ${property['x-type']}${unit}. Default: ${showDefault(property)}.`];
  if (property['x-reload'] === false) facts.push('Takes effect at start, not by a reload.');
  const lines = [`### ${name}`, '', facts.join(' '), '', property.description ?? ''];
  if (property['x-instead'] !== undefined)
    lines.push('', `Accepted, and honoured in another way: ${property['x-instead']}.`);
  if (property['x-pgbouncer'] !== undefined) lines.push('', `PgBouncer: ${property['x-pgbouncer']}`);
  return lines.join('\n');
}

function showDefault({ default: value }: PropertySchema): string {
  const isEmpty = value === '' || (typeof value === 'object' && Object.keys(value as object).length === 0);
  return isEmpty ? 'empty' : `\`${String(value)}\``;
}

function keyTable(schema: ObjectSchema): string {
  const rows = flatKeys(schema).map(([name, property]) => {
    const fallback = property.default === undefined ? 'none' : showDefault(property);
    return `| \`${name}\` | ${property['x-type'] ?? ''} | ${fallback} | ${property.description ?? ''} |`;
  });
  return ['| key | type | default | what it does |', '|---|---|---|---|', ...rows].join('\n');
}

/** A mapping within a mapping is shown by the names of both: `store.etcd`. */
function flatKeys(schema: ObjectSchema): [string, PropertySchema][] {
  return Object.entries(schema.properties).flatMap(([name, property]): [string, PropertySchema][] => {
    if (!('properties' in property)) return [[name, property]];
    return flatKeys(property as ObjectSchema).map(([inner, value]) => [`${name}.${inner}`, value]);
  });
}

const INTRODUCTION = `# Configuration

<!-- Made by "sluice config docs". Change the schema in src/config/schema.ts instead of this page. -->

\`sluice serve FILE\` reads one YAML file. Every setting has a default, so a file may be as short as this:

\`\`\`yaml
databases:
  app: { host: 127.0.0.1, port: 5432 }
users:
  alice: { password: "..." }
\`\`\`

and a longer one may look like this:

\`\`\`yaml
listen_addr: "*"              # quoted: a bare * means something else in YAML
listen_port: 6432
default_pool_size: 20
query_wait_timeout: 30s
auth_file: userlist.txt
databases:
  app: { host: 127.0.0.1, port: 5432, dbname: app_production, pool_size: 40 }
  reports: postgres://report:secret@10.0.0.5:5432/warehouse?pool_mode=session
  "*": { host: /run/postgresql }
\`\`\`

Flags win over the file: \`--set name=value\` for any setting below, \`--database NAME=URL\` for an entry of \`databases\`,
\`--listen HOST:PORT\` for the addresses. \`sluice config check FILE\` says what is wrong with a file, by line and key, and
\`sluice config schema\` prints its JSON Schema for your editor. An unknown key is an error. SIGHUP reloads the file; if
anything is wrong with it, everything stays as it was.

Names and units are PgBouncer's where it has the setting; what differs stands under "PgBouncer".
Durations are numbers of seconds, or have a unit: \`500ms\`, \`2s\`, \`5min\`, \`1h\`.
Booleans are \`1\`, \`0\`, \`true\`, \`false\`, \`on\`, \`off\`, \`yes\` or \`no\`.`;

const DATABASES_TEXT = `The databases by the names that clients ask for. \`"*"\` stands for every name that isn't listed. An entry is a mapping with
the keys below, or a URL: \`postgres://user:password@host:port/database\`, percent-encoded as usual, where every part may be missing and the
keys below may follow as parameters (\`?host=/run/postgresql&pool_size=5\`).

As a flag it is \`--database URL\` or \`--database NAME=URL\`; without \`NAME=\` clients ask for the URL's database, and without that for any (\`*\`).

PgBouncer: \`host\` is 127.0.0.1 where it is missing, not a unix socket.`;

const NODES_FROM_TEXT = `Who says which nodes a database has: the key \`nodes_from\` of an entry of \`databases\`, with one of \`dns\`, \`kubernetes\`,
\`patroni\` and \`repmgr\`. What follows from it stands in [routing.md](routing.md#nodes-that-come-and-go).

\`\`\`yaml
databases:
  app: { nodes_from: { dns: db-nodes.default.svc.cluster.local:5432 } }
  web: { nodes_from: { kubernetes: { selector: "cnpg.io/cluster=main,cnpg.io/podRole=instance" } } }
  old: { nodes_from: { patroni: [https://10.0.0.1:8008, https://10.0.0.2:8008], ca_file: patroni-ca.pem } }
  few: { nodes_from: { repmgr: "postgres://sluice:secret@10.0.0.1,10.0.0.2/repmgr" } }
\`\`\`

As a flag, and in a \`pgbouncer.ini\`, it is one text: \`dns:NAME:PORT\`, \`kubernetes:SELECTOR\`, \`patroni:URL,URL\`, \`repmgr:URL\`. Relative
paths of files count from the folder of the configuration file.`;

const USERS_TEXT = `The users that may log in. With neither \`users\` nor \`auth_file\`, a user and password in an entry of \`databases\` are also
what a client logs in with.

PgBouncer: its section \`[users]\` holds no passwords.`;

const CLUSTER_TEXT = `The cluster whose agents keep its nodes alive (see [availability.md](availability.md)), and the store in which it
agrees on who leads. Agents and commands have the same section in their file:

\`\`\`yaml
cluster:
  name: main
  store:
    etcd: [https://10.0.0.1:2379, https://10.0.0.2:2379, https://10.0.0.3:2379]
    user: sluice
    password_file: etcd-password
    ca_file: etcd-ca.pem
\`\`\`

Relative paths of files count from the folder of the configuration file.`;

const AGENT_TEXT = `\`sluice agent -c FILE\` reads a YAML file of its own (see [availability.md](availability.md)). An unknown key is an error, and
\`--dry-run\` says what the agent would do. \`sluice config schema --agent\` prints its JSON Schema. What a change
of the file needs is told in [availability.md](availability.md#changing-the-file).

\`\`\`yaml
node: db1
address: 10.0.0.11
cluster:
  name: main
  store: { etcd: [http://10.0.0.21:2379, http://10.0.0.22:2379, http://10.0.0.23:2379] }
durability: durable
postgresql:
  data: /var/lib/postgresql/17/main
  bootstrap: initdb            # on one node
  replication_password_file: replication-password
  settings: { max_connections: 200, shared_buffers: 4GB }
  client_rules: ["host all all 10.0.0.0/8 scram-sha-256"]
http_listen: 10.0.0.11:8008
http_token_file: token
\`\`\``;

const PEERS_TEXT = `Other processes that share the clients, by their \`peer_id\`: cancel requests with their number are passed on to them.`;
