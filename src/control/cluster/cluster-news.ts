/** What a look into a cluster's store means to a gateway. */
import type { ClusterView, Contact, Epoch } from '../../cluster/records.js';
import type { ClusterAccess } from '../../config/cluster-access.js';
import { serverAddress } from '../../config/gateway-settings.js';
import type { ClusterNews } from '../../core/route/epoch.js';
import type { NodeSettings } from '../../core/settings.js';

/** A node that has not registered for so long is left out. ms. */
export const NODE_FORGOTTEN_MS = 60_000;

/** The state of a leader's agent in which clients may write. */
const OPEN = 'leading';

/** The epoch in force: published under the last term, whose leader still holds the lease. Null: there is none. */
export function epochInForce({ term, leader, epoch }: ClusterView): Epoch | null {
  if (epoch === null || leader === null) return null;
  return leader.term === term && epoch.term === term ? epoch : null;
}

/**
 * What the view says of whom to write to. A leader that opens, drains or yields gets no new transactions; one whose registration
 * is missing does, since the lease counts and not that.
 */
export function newsOf(
  { name, leaseMs }: Pick<ClusterAccess, 'name' | 'leaseMs'>,
  view: ClusterView,
  nodes: readonly NodeSettings[],
): ClusterNews {
  const { term, members } = view;
  const epoch = epochInForce(view);
  const state = epoch === null ? OPEN : (members.get(epoch.primary)?.state ?? OPEN);
  return {
    ...{ cluster: name, term, leaseMs, nodes },
    isHeld: state !== OPEN,
    epoch:
      epoch === null
        ? null
        : {
            term,
            leader: epoch.primary,
            systemId: epoch.systemIdentifier,
            timeline: epoch.history.at(-1)!.timeline,
          },
  };
}

/** The nodes that have registered lately, so that one which restarts its agent, or a store that does, doesn't change the list. */
export class KnownNodes {
  readonly #seen = new Map<string, { readonly contact: Contact; readonly at: number }>();

  /** All that are known after this view, by their names. @param now ms */
  after({ members }: ClusterView, now: number): readonly NodeSettings[] {
    for (const [name, { contact }] of members) this.#seen.set(name, { contact, at: now });
    for (const [name, { at }] of this.#seen) if (now - at > NODE_FORGOTTEN_MS) this.#seen.delete(name);
    const names = [...this.#seen.keys()].sort();
    return names.map((name) => nodeOf(name, this.#seen.get(name)!.contact));
  }
}

function nodeOf(name: string, { host, port }: Contact): NodeSettings {
  return Object.freeze({ name, address: serverAddress(host, port), weight: 1, zone: '' });
}
