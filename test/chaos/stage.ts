/** Builds a cluster on machines of its own for as long as it is needed. */
import { chmodSync, mkdirSync } from 'node:fs';
import { type Building, type ClusterUnderTest, machines } from './clusters/cluster-under-test.js';
import { PUBLISHED_PORTS } from './clusters/ports.js';
import type { OpenGround } from './ground/choice.js';
import type { Ground } from './ground/ground.js';

/** Everything goes when `use` has ended, or failed, but for what lies in `home`. */
export async function withCluster<C extends ClusterUnderTest>(
  open: OpenGround,
  build: (building: Building) => C,
  home: string,
  rest: Omit<Building, 'ground' | 'folder'>,
  use: (cluster: C, ground: Ground) => Promise<void>,
): Promise<void> {
  const ground = await open(machines(rest.stores), PUBLISHED_PORTS);
  mkdirSync(home, { mode: 0o777 });
  chmodSync(home, 0o777);
  const cluster = build({ ground, folder: home, ...rest });
  try {
    await cluster.start();
    await use(cluster, ground);
  } finally {
    await ground.repair().catch(console.error);
    await cluster.stop().catch(console.error);
    await ground.discard();
  }
}
