/**
 * The addresses of servers' host names. The control plane looks them up; here they are known for `dns_max_ttl`, and that a
 * name has none for `dns_nxdomain_ttl`. Names in use are looked up again by themselves, so that a change is noticed.
 */
import type { GatewayContext } from './context.js';
import type { ServerAddress, TcpAddress } from './io.js';
import { parseIpAddress } from './ip-address.js';
import { HOST_NAMES_MAX } from './limits.js';

/** An address that can be dialled; why there is none; or null: the name is being looked up. */
export type FoundHost = ServerAddress | { readonly error: string } | null;

/** A name, for `SHOW DNS_HOSTS`. */
export interface HostSnapshot {
  readonly name: string;
  /** How long its addresses count as known, in ms. */
  readonly ttlMs: number;
  readonly addresses: readonly string[];
}

interface HostName {
  readonly name: string;
  addresses: readonly string[];
  error: string | null;
  /** In ms; until then it is not looked up again. */
  expiresAt: number;
  isAsked: boolean;
  /** Which address comes next. */
  next: number;
  /** How many server connections lead there. */
  used: number;
}

/** What a change of addresses leads to. */
export interface HostsOwner {
  /** Server connections to these addresses of the name are to be replaced. */
  hostMoved(name: string, vanished: ReadonlySet<string>): void;
  /** A lookup is over: whoever waits for it may go on. */
  hostFound(): void;
}

/** The TCP address that a connection stands for, also where a unix socket is taken instead; null: a socket is configured. */
export function configuredAddress(address: ServerAddress): TcpAddress | null {
  if (!('socketPath' in address)) return address;
  return address.shortcut?.insteadOf ?? null;
}

export class Hosts {
  private readonly context: GatewayContext;
  private readonly owner: HostsOwner;
  private readonly byName = new Map<string, HostName>();

  constructor(context: GatewayContext, owner: HostsOwner) {
    this.context = context;
    this.owner = owner;
  }

  /** Where to dial: each address of a name in its turn. */
  find(address: ServerAddress): FoundHost {
    if ('socketPath' in address || parseIpAddress(address.host) !== null) return address;
    const host = this.known(address.host);
    if (this.context.io.now() >= host.expiresAt) this.ask(host);
    // Until a new answer is there the old one holds.
    if (host.addresses.length > 0) {
      const ip = host.addresses[host.next++ % host.addresses.length]!;
      return { host: ip, port: address.port, name: host.name };
    }
    return host.error === null || host.isAsked ? null : { error: host.error };
  }

  /** How many addresses are to be tried before there is reason to wait. */
  countOf(address: ServerAddress): number {
    if ('socketPath' in address) return 1;
    return Math.max(1, this.byName.get(address.host)?.addresses.length ?? 1);
  }

  /** A server connection was opened, or has gone. */
  use(address: ServerAddress, change: 1 | -1): void {
    const name = configuredAddress(address)?.name;
    const host = name === undefined ? undefined : this.byName.get(name);
    if (host !== undefined) host.used += change;
  }

  /** Looks names in use up again in time. Returns when to call it again at the latest, in ms. */
  advance(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const host of this.byName.values()) {
      if (host.isAsked) continue;
      if (now >= host.expiresAt) {
        if (host.used > 0) this.ask(host);
        else this.byName.delete(host.name);
      } else next = Math.min(next, host.expiresAt);
    }
    return next;
  }

  snapshot(): HostSnapshot[] {
    const now = this.context.io.now();
    return [...this.byName.values()].map(({ name, expiresAt, addresses }) => ({
      name,
      ttlMs: Math.max(0, expiresAt - now),
      addresses,
    }));
  }

  private known(name: string): HostName {
    let host = this.byName.get(name);
    if (host === undefined) {
      if (this.byName.size >= HOST_NAMES_MAX) this.forgetUnused();
      host = { name, addresses: [], error: null, expiresAt: 0, isAsked: false, next: 0, used: 0 };
      this.byName.set(name, host);
    }
    return host;
  }

  private forgetUnused(): void {
    for (const host of this.byName.values())
      if (host.used === 0 && !host.isAsked) this.byName.delete(host.name);
  }

  private ask(host: HostName): void {
    if (host.isAsked) return;
    host.isAsked = true;
    this.context.slow.ask({ kind: 'host', name: host.name }, (answer) => {
      host.isAsked = false;
      if (answer.kind === 'host') this.learn(host, answer.addresses);
      else this.fail(host, answer.kind === 'failed' ? answer.error.message : 'no answer');
      this.owner.hostFound();
    });
  }

  private learn(host: HostName, addresses: readonly string[]): void {
    const vanished = new Set(host.addresses.filter((address) => !addresses.includes(address)));
    host.addresses = addresses;
    host.error = null;
    host.expiresAt = this.context.io.now() + this.context.settings.dnsMaxTtlMs;
    if (vanished.size > 0) this.owner.hostMoved(host.name, vanished);
  }

  /** Connections that are there stay; new ones fail, as with PgBouncer. */
  private fail(host: HostName, error: string): void {
    host.addresses = [];
    host.error = error;
    host.expiresAt = this.context.io.now() + this.context.settings.dnsNxdomainTtlMs;
  }
}
