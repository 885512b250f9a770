/** Whether a new list of nodes names others than before. */
import type { NodeSettings } from '../settings.js';

/** Nothing about them is to change. */
export function isSameList(
  watches: readonly { readonly node: { readonly settings: NodeSettings } }[],
  nodes: readonly NodeSettings[],
): boolean {
  return JSON.stringify(watches.map(({ node }) => node.settings)) === JSON.stringify(nodes);
}

/** It is the same server, by the same name. */
export function isSameNode(a: NodeSettings, b: NodeSettings): boolean {
  return a.name === b.name && JSON.stringify(a.address) === JSON.stringify(b.address);
}
