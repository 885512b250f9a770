import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerConnection } from '../server/server-connection.js';
import { PoolServers } from './pool-servers.js';

test('who loses its server connection can go on with none that is about to be closed', () => {
  const servers = new PoolServers();
  const resting = new Set<ServerConnection>();
  const found: number[] = [];
  for (const isLinked of [true, false, true, false]) {
    const server = {
      link: isLinked ? {} : null,
      close() {
        if (!servers.delete(server)) return;
        resting.delete(server);
        // Its client looks for another one at once.
        if (isLinked) found.push(resting.size);
      },
    } as unknown as ServerConnection;
    servers.add(server);
    if (!isLinked) resting.add(server);
  }
  servers.close('the primary is another one');
  assert.deepEqual(found, [0, 0]);
  assert.equal(servers.size, 0);
});
