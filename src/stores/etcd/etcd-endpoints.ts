/** Where the members of an etcd cluster are, and how one is spoken to. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Endpoint } from '../json-request.js';
import { StoreError } from '../store.js';

/** How etcd is reached. */
export interface EtcdSettings {
  /** `https://host:2379`; tried in turn. */
  readonly endpoints: readonly string[];
  /** What this cluster's keys begin with, e.g. `/sluice/main`. Two clusters must not share one. */
  readonly prefix: string;
  readonly user?: string;
  readonly password?: string;
  /** PEM texts: who is trusted, and who we are. etcd's gateway doesn't take a user's name from a certificate. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** The endpoints, checked. */
export function etcdEndpoints({ endpoints, tls }: EtcdSettings): Endpoint[] {
  if (endpoints.length === 0) throw new StoreError('protocol', 'no etcd endpoint is configured');
  return endpoints.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const isPlain = url !== null && url.pathname === '/' && url.search === '' && url.username === '';
    if (url === null || !isPlain || !['http:', 'https:'].includes(url.protocol)) {
      throw new StoreError(
        'protocol',
        `an etcd endpoint must be like https://host:2379 (not ${shown(text)})`,
      );
    }
    const secure = url.protocol === 'https:';
    const options = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 2379) };
    const agent = secure ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
    return { description: `etcd at ${url.host}`, secure, options, agent };
  });
}

/** What may be shown of a text that should be an URL: a password in it is not. */
function shown(text: string): string {
  return JSON.stringify(text.replace(/\/\/[^/@]*@/, '//***@').slice(0, 100));
}
