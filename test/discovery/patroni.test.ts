/** Patroni's REST API as a source of nodes, with a double in its place. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PatroniSource } from '../../src/control/discovery/patroni-source.js';
import { CertificateAuthority, noCertificates, pemOf } from '../harness/certificates.js';
import { PatroniDouble } from './patroni-double.js';

const WITHOUT_TLS = { name: 'patroni', kind: 'patroni', ca: null, cert: null, key: null } as const;
const LEADER = { name: 'db1', role: 'leader', state: 'running', host: '10.0.0.1', port: 5432, timeline: 4 };
const REPLICA = {
  name: 'db2',
  role: 'sync_standby',
  state: 'streaming',
  host: '10.0.0.2',
  port: 5433,
  timeline: 4,
};

describe("Patroni's word", () => {
  let patroni: PatroniDouble;
  before(async () => {
    patroni = await PatroniDouble.start();
  });
  after(() => patroni?.stop());

  async function ask(...endpoints: string[]) {
    const source = new PatroniSource({ ...WITHOUT_TLS, endpoints });
    try {
      return await source.read();
    } finally {
      source.close();
    }
  }

  test('names the members, and the leader with its timeline', async () => {
    const busy = { name: 'db3', role: 'replica', host: 'fd00::3', port: 5432, tags: { noloadbalance: true } };
    const starting = { name: 'db4', role: 'replica', state: 'creating replica', timeline: 'unknown' };
    patroni.members = [LEADER, REPLICA, busy, starting];
    const { nodes, word } = await ask(patroni.url);
    assert.deepEqual(word, { leader: 'db1', timeline: 4 });
    assert.deepEqual(
      nodes.map(({ name, address, weight }) => [name, address, weight]),
      [
        ['db1', { host: '10.0.0.1', port: 5432 }, 1],
        ['db2', { host: '10.0.0.2', port: 5433 }, 1],
        ['db3', { host: 'fd00::3', port: 5432 }, 0],
      ],
    );
  });

  test('is none where nobody leads, several do, or a standby cluster is led', async () => {
    for (const members of [
      [REPLICA],
      [LEADER, { ...REPLICA, role: 'master' }],
      [{ ...LEADER, role: 'standby_leader' }, REPLICA],
    ]) {
      patroni.members = members;
      assert.equal((await ask(patroni.url)).word, null);
    }
  });

  test('comes from another member where one is away or talks nonsense', async () => {
    patroni.members = [LEADER];
    const odd = await PatroniDouble.start();
    const away = await PatroniDouble.start();
    await away.stop();
    try {
      for (const answer of [
        { status: 503, body: '{}' },
        { status: 200, body: '{"members": "none"}' },
        { status: 200, body: '<html>' },
        { status: 200, body: JSON.stringify({ members: [], filler: 'x'.repeat(5_000_000) }) },
      ]) {
        odd.answer = answer;
        const source = new PatroniSource({ ...WITHOUT_TLS, endpoints: [away.url, odd.url, patroni.url] });
        assert.equal((await source.read()).nodes.length, 1);
        // Who has answered is asked first from then on.
        const asked = odd.asked;
        await source.read();
        assert.equal(odd.asked, asked);
        source.close();
        await assert.rejects(ask(away.url, odd.url), /Patroni at 127\.0\.0\.1:\d+: .*; Patroni at/);
      }
    } finally {
      await odd.stop();
    }
  });

  test('is believed by https if the authority is known', { skip: noCertificates }, async () => {
    const authority = new CertificateAuthority('patroni');
    const secure = await PatroniDouble.start(pemOf(authority.issue('localhost', ['IP:127.0.0.1'])));
    secure.members = [LEADER];
    try {
      const known = new PatroniSource({ ...WITHOUT_TLS, ca: authority.pem, endpoints: [secure.url] });
      assert.equal((await known.read()).word?.leader, 'db1');
      known.close();
      const unknown = new PatroniSource({ ...WITHOUT_TLS, endpoints: [secure.url] });
      await assert.rejects(unknown.read(), /certificate|self.signed|issuer/i);
      unknown.close();
    } finally {
      await secure.stop();
    }
  });
});
