/** The key `nodes_from` of a database: who says which nodes there are. */
import * as z from 'zod';
import { parseServerUrl, UrlError } from '../server-url.js';
import { name, parsePlace, wholeNumber } from '../value-types.js';
import { key } from './entry.js';
import { KUBERNETES_API_KEYS } from './kubernetes-api.js';

const PORT = 5432;
const PLACE = 'a DNS name with a port, like db-nodes.default.svc.cluster.local:5432';
const ENDPOINT = 'a URL like https://10.0.0.1:8008, without a user and a path';
const ENDPOINTS = 'a list of URLs, like [http://10.0.0.1:8008, http://10.0.0.2:8008]';
const REPMGR = 'a URL like postgres://repmgr@10.0.0.1,10.0.0.2/repmgr';
const SELECTOR = 'labels that the pods have, like cnpg.io/cluster=main';
/** How Kubernetes writes selectors: label, operator and value, with commas between. */
const SELECTOR_FORM = /^[A-Za-z0-9._/=!, ()-]{1,512}$/;

const kubernetesFields = z.strictObject(
  {
    selector: key(
      name(SELECTOR).regex(SELECTOR_FORM, { error: SELECTOR }),
      'label selector',
      'Which pods are nodes: of CloudNativePG `cnpg.io/cluster=main,cnpg.io/podRole=instance`, of Zalando `application=spilo,cluster-name=acid-main`, or what you have given them.',
    ),
    port: key(wholeNumber(1, 65535).prefault(PORT), 'whole number', "PostgreSQL's port in the pods."),
    namespace: key(
      name('a namespace').optional(),
      'text',
      "Where the pods are. Without it: the gateway's own namespace.",
    ),
    ...KUBERNETES_API_KEYS,
  },
  { error: 'a mapping like { selector: cnpg.io/cluster=main }' },
);

/** @throws {UrlError} */
const repmgrUrl = z.string({ error: REPMGR }).superRefine((url, context) => {
  try {
    if (parseServerUrl(url).user !== undefined) return;
    context.addIssue({ code: 'custom', message: REPMGR, input: url });
  } catch (error) {
    if (!(error instanceof UrlError)) throw error;
    context.addIssue({ code: 'custom', message: error.message, params: { sentence: true } });
  }
});

const fields = z.strictObject(
  {
    dns: key(
      name(PLACE)
        .refine((value) => parsePlace(value) !== null, { error: PLACE })
        .optional(),
      'HOST:PORT',
      'A name that has the address of every node, such as a headless Service. It is looked up every five seconds.',
    ),
    kubernetes: kubernetesFields.optional().meta({ description: 'Pods, by their labels.' }),
    patroni: key(
      z
        .array(name(ENDPOINT).regex(/^https?:\/\/[^/@\s]+\/?$/, { error: ENDPOINT }))
        .min(1, { error: ENDPOINTS })
        .optional(),
      'list of URLs',
      "Patroni's REST API on several nodes: `GET /cluster` of the first that answers, every two seconds.",
    ),
    ca_file: key(
      name('a file').optional(),
      'file',
      "Of `patroni` by https: whose certificates are believed (PEM). Without it: the system's authorities.",
    ),
    cert_file: key(name('a file').optional(), 'file', 'The certificate that is shown to Patroni (PEM).'),
    key_file: key(name('a file').optional(), 'file', 'The key of `cert_file` (PEM).'),
    repmgr: key(
      repmgrUrl.optional(),
      'URL',
      'The database in which repmgr keeps `repmgr.nodes`, on several nodes: `postgres://USER:PASSWORD@HOST,HOST/DATABASE`. USER may read that table. It is read every two seconds.',
    ),
  },
  { error: 'a mapping like { dns: db-nodes.default.svc.cluster.local:5432 }' },
);

/** One source of nodes, as a file or a URL says it. */
export type NodesFromValues = z.output<typeof fields>;

const SHORT =
  'dns:NAME:PORT, kubernetes:SELECTOR, patroni:URL,URL or repmgr:URL, or a mapping like { dns: db-nodes.default.svc.cluster.local:5432 }';

/** `KIND:...`, for places where there are no mappings: a URL, `pgbouncer.ini`. */
const shortForm = z
  .string({ error: SHORT })
  .transform((text, context): z.input<typeof fields> => {
    const [, kind, rest] = /^(dns|kubernetes|patroni|repmgr):(.+)$/s.exec(text.trim()) ?? [];
    if (kind === 'dns' || kind === 'repmgr') return { [kind]: rest };
    if (kind === 'kubernetes') return { kubernetes: { selector: rest! } };
    if (kind === 'patroni') return { patroni: rest!.split(',').map((url) => url.trim()) };
    context.issues.push({ code: 'custom', message: SHORT, input: text });
    return z.NEVER;
  })
  .pipe(fields);

export const nodesFrom = z.union([fields, shortForm], { error: SHORT }).optional();

/** For the documentation. */
export const nodesFromFields = fields;

/** How the source of a database's nodes is called, in logs and for the core. Shows no secret. */
export function nodesFromName({ dns, kubernetes, patroni, repmgr }: NodesFromValues): string {
  if (dns !== undefined) return `dns ${dns}`;
  if (patroni !== undefined) return `patroni ${patroni.join(',')}`;
  if (kubernetes !== undefined) {
    const { namespace, selector, port } = kubernetes;
    return `kubernetes ${namespace === undefined ? '' : `${namespace}/`}${selector}:${port}`;
  }
  const { user = '', host = '', port = '', dbname = '' } = parseServerUrl(repmgr!);
  return `repmgr ${user}@${host}${port === '' ? '' : `:${port}`}/${dbname}`;
}
