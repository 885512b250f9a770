import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuthorityAnswer } from './authority.js';
import type { GatewayContext } from './context.js';
import { Hosts } from './hosts.js';

const ADDRESS = { host: 'db.example', port: 5432 };

/** A clock, and lookups that are answered by hand. */
function stage() {
  const asked: ((answer: AuthorityAnswer) => void)[] = [];
  const events: string[] = [];
  const clock = { now: 0 };
  const context = {
    io: { now: () => clock.now },
    settings: { dnsMaxTtlMs: 15_000, dnsNxdomainTtlMs: 5000 },
    slow: { ask: (_question: unknown, done: (answer: AuthorityAnswer) => void) => asked.push(done) },
  } as unknown as GatewayContext;
  const hosts = new Hosts(context, {
    hostMoved: (name, vanished) => events.push(`${name} left ${[...vanished].join()}`),
    hostFound: () => events.push('found'),
  });
  const answer = (...addresses: string[]) => asked.shift()!({ kind: 'host', addresses });
  const fail = () =>
    asked.shift()!({ kind: 'failed', error: { severity: 'FATAL', code: '08006', message: 'no such name' } });
  return { hosts, asked, events, clock, answer, fail };
}

describe('host names', () => {
  test('addresses and sockets are dialled as they are', () => {
    const { hosts, asked } = stage();
    for (const address of [{ host: '10.0.0.1', port: 1 }, { host: '::1', port: 1 }, { socketPath: '/s' }]) {
      assert.equal(hosts.find(address), address);
    }
    assert.equal(asked.length, 0);
  });

  test('a name is looked up once, and its addresses take turns', () => {
    const { hosts, asked, events, answer } = stage();
    assert.equal(hosts.find(ADDRESS), null);
    assert.equal(hosts.find(ADDRESS), null);
    assert.equal(asked.length, 1);
    answer('10.0.0.1', '10.0.0.2');
    assert.deepEqual(events, ['found']);
    assert.equal(hosts.countOf(ADDRESS), 2);
    const ips = [1, 2, 3].map(() => hosts.find(ADDRESS) as { host: string; name?: string });
    assert.deepEqual(
      ips.map(({ host }) => host),
      ['10.0.0.1', '10.0.0.2', '10.0.0.1'],
    );
    assert.equal(ips[0]!.name, 'db.example');
  });

  test('a name in use is looked up again, and what has vanished is told', () => {
    const { hosts, asked, events, clock, answer } = stage();
    hosts.find(ADDRESS);
    answer('10.0.0.1', '10.0.0.2');
    hosts.use({ host: '10.0.0.1', port: 5432, name: 'db.example' }, 1);
    assert.equal(hosts.advance(1), 15_000);
    clock.now = 15_000;
    hosts.advance(15_000);
    assert.equal(asked.length, 1);
    assert.notEqual(hosts.find(ADDRESS), null, 'the old answer holds until there is a new one');
    answer('10.0.0.2');
    assert.deepEqual(events, ['found', 'db.example left 10.0.0.1', 'found']);
  });

  test('that a name has no address is remembered for a while', () => {
    const { hosts, asked, clock, fail } = stage();
    hosts.find(ADDRESS);
    fail();
    assert.deepEqual(hosts.find(ADDRESS), { error: 'no such name' });
    assert.equal(asked.length, 0);
    clock.now = 5000;
    assert.equal(hosts.find(ADDRESS), null);
    assert.equal(asked.length, 1);
  });

  test('a name that nobody uses is forgotten', () => {
    const { hosts, clock, answer } = stage();
    hosts.find(ADDRESS);
    answer('10.0.0.1');
    clock.now = 15_000;
    hosts.advance(15_000);
    assert.deepEqual(hosts.snapshot(), []);
  });
});
