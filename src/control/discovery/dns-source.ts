/** Nodes by a name that has the address of each. */
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { serverAddress } from '../../config/gateway-settings.js';
import type { NodesFrom } from '../../config/nodes-from.js';
import type { NodeSettings } from '../../core/settings.js';
import type { Finding, NodeSource } from './node-source.js';

/** An address is left out when the name has not had it for so long: a pod that is not ready for a moment keeps its connections. ms. */
const FORGOTTEN_MS = 30_000;

/** All addresses of a name, in no order. Rejects as `dns.lookup` does. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** As the system knows names, `/etc/hosts` and the search domains of a pod included. */
const resolveBySystem: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

export class DnsSource implements NodeSource {
  readonly intervalMs = 5000;
  readonly #place: Extract<NodesFrom, { kind: 'dns' }>;
  readonly #clock: () => number;
  readonly #resolve: Resolve;
  readonly #seen = new Map<string, number>();

  constructor(place: Extract<NodesFrom, { kind: 'dns' }>, clock: () => number, resolve = resolveBySystem) {
    this.#place = place;
    this.#clock = clock;
    this.#resolve = resolve;
  }

  async read(): Promise<Finding> {
    const addresses = await this.#resolve(this.#place.host);
    const now = this.#clock();
    for (const address of addresses) this.#seen.set(address, now);
    for (const [address, at] of this.#seen) if (now - at > FORGOTTEN_MS) this.#seen.delete(address);
    return { nodes: [...this.#seen.keys()].sort().map((address) => this.#node(address)), word: null };
  }

  close(): void {}

  #node(address: string): NodeSettings {
    const { port } = this.#place;
    const name = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
    return { name, address: serverAddress(address, port), weight: 1, zone: '' };
  }
}
