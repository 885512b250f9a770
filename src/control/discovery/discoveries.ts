/** Which sources of nodes a gateway asks, by its configuration. */
import type { SluiceConfig } from '../../config/load.js';
import type { NodesFrom } from '../../config/nodes-from.js';
import { sharedClock } from '../../reactor/shared-clock.js';
import { Discovery, type DiscoveryStatus, type DiscoveryWorld } from './discovery.js';
import { DnsSource } from './dns-source.js';
import { KubernetesSource } from './kubernetes-source.js';
import type { Finding, NodeSource } from './node-source.js';
import { PatroniSource } from './patroni-source.js';
import { type RepmgrEncryption, RepmgrSource } from './repmgr-source.js';

export class Discoveries {
  readonly #world: Pick<DiscoveryWorld, 'tell' | 'report'>;
  #running = new Map<string, { readonly as: string; readonly discovery: Discovery }>();

  constructor(world: Pick<DiscoveryWorld, 'tell' | 'report'>) {
    this.#world = world;
  }

  get status(): readonly DiscoveryStatus[] {
    return [...this.#running.values()].map(({ discovery }) => discovery.status);
  }

  /** What a source has said last; undefined: there is none of this name. */
  find(name: string): Finding | undefined {
    return this.#running.get(name)?.discovery.finding;
  }

  /** Begins, goes on and ends, as the configuration wants it. */
  configure({ nodesFrom, values, tls }: Pick<SluiceConfig, 'nodesFrom' | 'values' | 'tls'>): void {
    const encryption = { tlsMode: values.server_tls_sslmode, tls: tls.server };
    const before = this.#running;
    this.#running = new Map();
    for (const [name, source] of nodesFrom) {
      const as = JSON.stringify([source, source.kind === 'repmgr' ? encryption : null]);
      const known = before.get(name);
      if (known?.as === as) {
        this.#running.set(name, known);
        continue;
      }
      const world = { ...this.#world, clock: sharedClock };
      this.#running.set(name, { as, discovery: new Discovery(name, open(source, encryption), world) });
    }
    for (const [name, { discovery }] of before) {
      if (this.#running.get(name)?.discovery !== discovery) discovery.close();
    }
  }

  close(): void {
    for (const { discovery } of this.#running.values()) discovery.close();
    this.#running.clear();
  }
}

function open(source: NodesFrom, encryption: RepmgrEncryption): NodeSource {
  switch (source.kind) {
    case 'dns':
      return new DnsSource(source, sharedClock);
    case 'patroni':
      return new PatroniSource(source);
    case 'repmgr':
      return new RepmgrSource(source, encryption);
    case 'kubernetes':
      return new KubernetesSource(source, sharedClock);
  }
}
