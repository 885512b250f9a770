/** What an agent changes of a PostgreSQL that runs: its settings, passwords of roles, how standbys reach it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { AgentError } from '../../src/agent/agent-error.js';
import type { PostgresSettings } from '../../src/agent/postgres/postgres-side.js';
import { nodePaths } from '../../src/agent/postgres/state-folder.js';
import { handOver } from '../../src/agent/server-user.js';
import { CertificateAuthority, noCertificates } from '../harness/certificates.js';
import { NodeWorld, TestNode } from '../harness/postgres-node.js';
import { until } from '../harness/until.js';

describe('while PostgreSQL runs', () => {
  const world = new NodeWorld();
  let a: TestNode;
  let b: TestNode;

  before(async () => {
    a = await TestNode.open('a', world);
    b = await TestNode.open('b', world);
    await a.lead(1);
    await b.join(a, 1);
  });

  after(async () => {
    await Promise.all([a?.close(), b?.close()]);
  });

  /** The settings of both nodes, one after the other. */
  const settings = new Map<TestNode, PostgresSettings>();
  async function change(node: TestNode, changes: Partial<PostgresSettings>): Promise<void> {
    const next = { ...(settings.get(node) ?? node.settings), ...changes };
    await node.side.reload(next);
    settings.set(node, next);
  }

  async function streams(): Promise<{ pid: number; ssl: boolean } | undefined> {
    const rows = await a.query(
      `SELECT pid, ssl FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) WHERE application_name = 'b'`,
    );
    return rows[0] as { pid: number; ssl: boolean } | undefined;
  }

  /** Ends b's stream, and waits for another one. */
  async function streamsAgain(what: string): Promise<{ pid: number; ssl: boolean }> {
    const before = await until('a stream', streams);
    await a.query(`SELECT pg_terminate_backend(${before.pid})`);
    return until(what, async () => {
      const now = await streams();
      return now?.pid === before.pid ? undefined : now;
    });
  }

  test('settings and rules are changed; what is wrong changes nothing, and what needs a start is told', async () => {
    const { parameters } = a.settings;
    await change(a, { parameters: { ...parameters, work_mem: '7MB' } });
    assert.deepEqual(await a.query('SHOW work_mem'), [{ work_mem: '7MB' }]);
    const isRefused = (words: RegExp) => (error: unknown) =>
      error instanceof AgentError && words.test([error.message, ...error.advice].join('\n'));
    await assert.rejects(
      change(a, { parameters: { ...parameters, work_mem: 'seven' } }),
      isRefused(/does not take the settings.*work_mem/s),
    );
    await assert.rejects(
      change(a, { clientRules: ['host all all 127.0.0.1/32 friendship'] }),
      isRefused(/does not take the rules.*friendship/s),
    );
    assert.deepEqual(await a.query('SHOW work_mem'), [{ work_mem: '7MB' }]);
    await change(a, { parameters: { ...parameters, max_connections: '31' } });
    assert.match(a.side.facts().problem?.text ?? '', /must be started again for max_connections/);
    await change(a, { parameters });
    assert.equal(a.side.facts().problem, null);
  });

  test('a mistake in the rules shows when clients are to be let in', async () => {
    const file = join(a.settings.data, 'pg_hba.conf');
    const rules = readFileSync(file, 'utf8');
    assert.equal((await a.ask({ do: 'hold' })).kind, 'drained');
    writeFileSync(file, `${rules}friendship all\n`);
    a.side.carryOut({ do: 'open' });
    await until('the mistake to be told', () =>
      /not let in.*friendship/.test(a.side.facts().problem?.text ?? ''),
    );
    writeFileSync(file, rules);
    a.side.carryOut({ do: 'open' });
    await until('a to be open', () => a.query('SELECT 1').catch(() => null));
    await until('a to be content', () => a.side.facts().problem === null);
  });

  test('a new replication password is taken over when all nodes have it, and no stream is lost by it', async () => {
    const replication = { ...a.settings.replication, password: 'stream: me\\ again' };
    const passfile = () => readFileSync(nodePaths(b.settings).passfile, 'utf8');
    const first = passfile();
    world.isKnownToAll = false;
    await change(a, { replication });
    await until('the primary to wait', () => a.side.facts().problem?.text.includes('waits until all nodes'));
    await change(b, { replication });
    await streamsAgain('a stream by the old password');
    assert.equal(passfile(), first);
    assert.equal(b.side.facts().replicationKey, a.side.facts().replicationKey);
    world.isKnownToAll = true;
    await until('the new password to be in use', () => passfile() !== first);
    await streamsAgain('a stream by the new password');
    await until('the primary to be content', () => a.side.facts().problem === null);
    // A mistake on one node: what works stays.
    await change(b, { replication: { ...replication, password: 'a mistake' } });
    await streamsAgain('a stream in spite of the mistake');
    await change(b, { replication });
  });

  test('streams are protected where that is asked for', { skip: noCertificates }, async () => {
    const authority = new CertificateAuthority('Sluice tests');
    const { certFile, keyFile } = authority.issue('a', ['IP:127.0.0.1']);
    await handOver(keyFile, a.settings.serverUser);
    const parameters = {
      ...a.settings.parameters,
      ssl: 'on',
      ssl_cert_file: certFile,
      ssl_key_file: keyFile,
    };
    const replicationTls = { mode: 'verify-full', caFile: authority.certFile } as const;
    await change(a, { parameters, replicationTls });
    await change(b, { replicationTls: { mode: 'disable', caFile: null } });
    await a.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_replication`);
    const isRefused = () =>
      /does not stream from a: .*(?:no encryption|pg_hba)/.test(b.side.facts().problem?.text ?? '');
    await until('b to be refused without TLS', isRefused);
    await change(b, { replicationTls });
    const { ssl } = await until('a protected stream', streams);
    assert.ok(ssl);
    await until('b to be content', () => b.side.facts().problem === null);
  });

  test('gateways look users up by a role and a function of the agent', async () => {
    await a.query('CREATE DATABASE app');
    await a.query(`CREATE ROLE joe LOGIN PASSWORD 'his'`);
    const auth = { user: 'sluice_auth', password: 'look it up', databases: ['postgres', 'app'] };
    await change(a, { auth, clientRules: ['host all sluice_auth,joe 127.0.0.1/32 scram-sha-256'] });
    for (const database of auth.databases) {
      const rows = await until(`the function in ${database}`, () =>
        asUser(a, auth, database, 'joe').catch(() => null),
      );
      assert.match(rows[0]?.secret ?? '', /^SCRAM-SHA-256\$4096:/);
    }
    assert.deepEqual(await asUser(a, auth, 'app', 'postgres'), [{ username: null, secret: null }]);
    const joe = { user: 'joe', password: 'his' };
    await assert.rejects(asUser(a, joe, 'app', 'joe'), /permission denied for schema sluice/);

    await change(a, { auth: { ...auth, password: 'another' } });
    await until('the new password', () =>
      asUser(a, { ...auth, password: 'another' }, 'app', 'joe').catch(() => null),
    );
    // Whoever owns the schema could put another function into its place.
    await a.query('CREATE DATABASE other');
    const owner = await a.connect('other');
    await owner.query('CREATE SCHEMA sluice AUTHORIZATION joe');
    await owner.end();
    await change(a, { auth: { ...auth, databases: ['other'] } });
    await until('the refusal', () =>
      /schema sluice of database other is owned by joe/.test(a.side.facts().problem?.text ?? ''),
    );
  });
});

async function asUser(
  { settings: { port } }: TestNode,
  login: { user: string; password: string },
  database: string,
  whom: string,
): Promise<pg.QueryResultRow[]> {
  const { user, password } = login;
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query('SELECT * FROM sluice.user_secret($1)', [whom])).rows;
  } finally {
    await client.end();
  }
}
