/**
 * The process of an API server's double at a place of its own: told by a message where it listens and what it shows, it
 * says `ready`. The double itself listens on loopback.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { ApiObject } from '../../stores/api-objects.js';
import { ApiServer, PODS } from '../../stores/api-server.js';
import { splice } from './splice.js';

/** Where it is reached, and by whom. */
export interface ApiOrder {
  readonly address: string;
  readonly port: number;
  readonly token: string;
  /** The names of pods that there are. */
  readonly pods: readonly string[];
  readonly tls: { readonly cert: string; readonly key: string };
}

process.once('disconnect', () => process.exit(0));
process.once('message', async ({ address, port, token, tls, pods }: ApiOrder) => {
  const api = await ApiServer.start(tls);
  api.tokens = new Set([token]);
  for (const name of pods) api.folder(PODS).create({ kind: 'Pod', metadata: { name } } as ApiObject);
  const door = createServer({ allowHalfOpen: true }, (client) => {
    splice(client, connect({ host: '127.0.0.1', port: api.port, allowHalfOpen: true }));
  });
  door.listen(port, address);
  await once(door, 'listening');
  process.send!('ready');
});
