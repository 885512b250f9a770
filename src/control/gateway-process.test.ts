import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigSources, loadConfig } from '../config/load.js';
import { settingsForNextStart } from './gateway-process.js';

const config = (sources: ConfigSources) =>
  loadConfig({
    databases: ['postgres://db1/app'],
    ...sources,
    set: ['auth_type=trust', ...(sources.set ?? [])],
  });

test('knows what a reload cannot change', async () => {
  const running = await config({ listen: ['127.0.0.1:6432'] });
  assert.deepEqual(settingsForNextStart(running, await config({ set: ['default_pool_size=5'] })), []);
  const moved = await config({ set: ['listen_port=6433', 'unix_socket_dir=/run/x', 'io=node'] });
  assert.deepEqual(settingsForNextStart(running, moved), [
    'where to listen (now 127.0.0.1:6433, /run/x/.s.PGSQL.6433)',
    'io',
  ]);
  const socket = await config({ set: ['listen_addr=', 'unix_socket_dir=/run/x'] });
  const private_ = await config({ set: ['listen_addr=', 'unix_socket_dir=/run/x', 'unix_socket_mode=0700'] });
  assert.equal(settingsForNextStart(socket, private_).length, 1);
});
