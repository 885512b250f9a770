import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenAddress } from '../config/listen-address.js';
import { explainListenError } from './listen-error.js';

function explain(code: string, address: ListenAddress): string {
  return explainListenError({ code, message: 'what the system says' }, address).message;
}

test('says where listening failed, why, and what to do', () => {
  const place = { host: '127.0.0.1', port: 6432 };
  assert.match(
    explain('EADDRINUSE', place),
    /^cannot listen on 127\.0\.0\.1:6432: another process listens there.*listen_port or --listen$/,
  );
  assert.match(
    explain('ENOENT', { socketPath: '/nowhere/.s.PGSQL.6432' }),
    /^cannot listen on \/nowhere\/\.s\.PGSQL\.6432: there is no such folder/,
  );
  assert.match(explain('EACCES', { host: '::', port: 80 }), /^cannot listen on \[::\]:80: permission denied/);
});

test("uses the system's words where it has no advice", () => {
  assert.equal(
    explain('EMFILE', { host: '127.0.0.1', port: 6432 }),
    'cannot listen on 127.0.0.1:6432: what the system says',
  );
});
