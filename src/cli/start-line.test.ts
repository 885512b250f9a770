import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigSources, loadConfig } from '../config/load.js';
import { describeStart } from './start-line.js';
import { colourAllowed } from './terminal.js';

async function lineFor(sources: ConfigSources, driver = 'uring', driverReason = ''): Promise<string> {
  const config = await loadConfig(sources);
  return describeStart(config, { addresses: config.listen, driver, driverReason });
}

test('says where it listens, how it works, and how to connect', async () => {
  assert.equal(
    await lineFor({ databases: ['postgres://alice:secret@db1/app'] }),
    'listening on 127.0.0.1:6432; driver uring; transaction pooling; database app; ' +
      'connect with: psql -h 127.0.0.1 -p 6432 -U alice app',
  );
  const trusting = await lineFor(
    {
      databases: ['postgres://db1', "it's=postgres://db1"],
      set: ['auth_type=trust'],
      listen: ['0.0.0.0:7000', '/run/my x'],
    },
    'epoll',
    'io_uring is not permitted here',
  );
  assert.equal(
    trusting,
    'listening on 0.0.0.0:7000, /run/my x/.s.PGSQL.6432; driver epoll (io_uring is not permitted here); ' +
      "transaction pooling; databases *, it's; connect with: psql -h 127.0.0.1 -p 7000 'it'\\''s'",
  );
  const socket = await lineFor({
    databases: ['postgres://db1'],
    set: ['auth_type=trust'],
    listen: ['/run/x'],
  });
  assert.match(socket, /connect with: psql -h \/run\/x -p 6432 DATABASE$/);
});

test('does not list a hundred databases', async () => {
  const databases = Array.from({ length: 100 }, (_, index) => `postgres://db1/d${index}`);
  assert.match(
    await lineFor({ databases, set: ['auth_type=trust'] }),
    /; databases d0, d1, d2, d3, d4 and 95 more; /,
  );
});

test('colours are for terminals whose owner wants them', () => {
  assert.equal(colourAllowed({ isTTY: true }, {}), true);
  assert.equal(colourAllowed({ isTTY: true }, { NO_COLOR: '1' }), false);
  assert.equal(colourAllowed({ isTTY: true }, { TERM: 'dumb' }), false);
  assert.equal(colourAllowed({}, {}), false);
});
