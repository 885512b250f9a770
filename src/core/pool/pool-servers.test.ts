import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerConnection } from '../server/server-connection.js';
import { PoolServers } from './pool-servers.js';

test('while all are being closed, whoever loses its own is given none of the others', () => {
  const servers = new PoolServers();
  const asked: boolean[] = [];
  for (let i = 0; i < 3; i++) {
    const server = {
      close() {
        servers.delete(server);
        asked.push(servers.isClosing);
      },
    } as unknown as ServerConnection;
    servers.add(server);
  }
  servers.close('the primary is another one');
  assert.deepEqual(asked, [true, true, true]);
  assert.equal(servers.isClosing, false);
});
