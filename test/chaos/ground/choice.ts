/** What a cluster can stand on here. */
import type { Ground } from './ground.js';
import { NamespaceGround, whyNoNamespaces } from './namespaces.js';
import { ProxyGround, whyNoProxies } from './proxies.js';

export const GROUND_NAMES = ['namespaces', 'proxies'] as const;
export type GroundName = (typeof GROUND_NAMES)[number];

/** Makes machines of these names. Others reach the ports, and no others have to be reached. */
export type OpenGround = (names: readonly string[], ports: readonly number[]) => Promise<Ground>;

export interface GroundChoice {
  /** A line for people. */
  readonly what: string;
  readonly open: OpenGround;
}

const NAMESPACES: GroundChoice = {
  what: 'network namespaces',
  open: (names) => NamespaceGround.create(names),
};

/** The one that is asked for; else namespaces, and proxies where those can't be. Throws with the reason if there can be none. */
export function chooseGround(wish?: GroundName): GroundChoice {
  const noNamespaces = wish === 'proxies' ? 'proxies are asked for' : whyNoNamespaces();
  if (noNamespaces === null) return NAMESPACES;
  const noProxies = wish === 'namespaces' ? null : whyNoProxies();
  if (wish === 'namespaces' || noProxies !== null)
    throw new Error([noNamespaces, noProxies].filter((reason) => reason !== null).join('; '));
  return {
    what: `loopback addresses and proxies (${noNamespaces})`,
    open: (names, ports) => ProxyGround.create(names, ports),
  };
}
