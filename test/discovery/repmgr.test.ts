/** repmgr's table as a source of nodes, on real servers, with a table that is made as repmgr's extension makes it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RepmgrSource } from '../../src/control/discovery/repmgr-source.js';
import { DATABASE, PostgresServer, SUPERUSER } from '../harness/postgres-server.js';

/** repmgr 5.3, as far as it matters. */
export const REPMGR_TABLE = `
  CREATE SCHEMA repmgr;
  CREATE TABLE repmgr.nodes (node_id int PRIMARY KEY, upstream_node_id int, active boolean NOT NULL DEFAULT true,
    node_name text NOT NULL, type text NOT NULL, location text NOT NULL DEFAULT 'default', conninfo text NOT NULL);`;

describe("repmgr's table", () => {
  let primary: PostgresServer;
  let standby: PostgresServer;

  before(async () => {
    primary = await PostgresServer.start();
    await primary.query(`${REPMGR_TABLE}
      CREATE ROLE looks LOGIN; GRANT USAGE ON SCHEMA repmgr TO looks; GRANT SELECT ON repmgr.nodes TO looks;
      CREATE SCHEMA evil; CREATE FUNCTION evil.json_agg(json) RETURNS json LANGUAGE sql AS $$ SELECT '[]'::json $$;
      ALTER ROLE looks SET search_path = evil, pg_catalog`);
    standby = await primary.startStandby();
  });
  after(async () => {
    await standby?.discard();
    await primary?.discard();
  });

  async function read(host: string, ports: readonly number[], user = 'looks') {
    const name = 'repmgr test';
    const source = { name, kind: 'repmgr', host, ports, database: DATABASE, user, password: null } as const;
    const asked = new RepmgrSource(source, { tlsMode: 'disable', tls: null });
    try {
      return await asked.read();
    } finally {
      asked.close();
    }
  }

  async function register(...rows: readonly string[]): Promise<void> {
    await primary.query('TRUNCATE repmgr.nodes');
    for (const [place, row] of rows.entries()) {
      await primary.query(
        `INSERT INTO repmgr.nodes (node_id, node_name, type, active, location, conninfo) VALUES (${place}, ${row})`,
      );
    }
    await primary.replayedBy(standby);
  }

  test('names the nodes, and the active primary, to a role that may only read it', async () => {
    await register(
      `'db1', 'primary', true, 'default', 'host=10.0.0.1 user=repmgr dbname=repmgr connect_timeout=2'`,
      `'db2', 'standby', false, 'west', 'host=''10.0.0.2'' port=5433 application_name=''it''''s me'''`,
      `'eye', 'witness', true, 'default', 'host=10.0.0.9'`,
      `'here', 'standby', true, 'default', 'dbname=repmgr'`,
    );
    for (const server of [primary, standby]) {
      const { nodes, word } = await read('127.0.0.1', [server.port]);
      assert.deepEqual(word, { leader: 'db1', timeline: 0 });
      assert.deepEqual(nodes, [
        { name: 'db1', address: { host: '10.0.0.1', port: 5432 }, weight: 1, zone: '' },
        { name: 'db2', address: { host: '10.0.0.2', port: 5433 }, weight: 1, zone: 'west' },
      ]);
    }
  });

  test('calls nobody the primary where several are, or none is active', async () => {
    await register(
      `'db1', 'primary', true, 'default', 'host=10.0.0.1'`,
      `'db2', 'primary', true, 'default', 'host=10.0.0.2'`,
    );
    assert.equal((await read('127.0.0.1', [primary.port])).word, null);
    await register(`'db1', 'primary', false, 'default', 'host=10.0.0.1'`);
    assert.equal((await read('127.0.0.1', [primary.port])).word, null);
  });

  test('is right as the newest timeline has it, and one node is enough', async () => {
    await register(`'db1', 'primary', true, 'default', 'host=127.0.0.1 port=${primary.port}'`);
    const promoted = await primary.startStandby();
    try {
      await promoted.query('SELECT pg_promote()');
      await promoted.query(
        `UPDATE repmgr.nodes SET node_name = 'new', conninfo = 'host=127.0.0.1 port=${promoted.port}'`,
      );
      const ports = [primary.port, 1, promoted.port];
      assert.equal((await read('127.0.0.1,127.0.0.1,127.0.0.1', ports)).word?.leader, 'new');
      await promoted.stop();
      assert.equal((await read('127.0.0.1,127.0.0.1,127.0.0.1', ports)).word?.leader, 'db1');
    } finally {
      await promoted.discard();
    }
  });

  test('that can not be read says why', async () => {
    await primary.query('CREATE ROLE stranger LOGIN');
    await assert.rejects(
      read('127.0.0.1', [primary.port], 'stranger'),
      /permission denied for schema repmgr/,
    );
    await primary.query('DROP TABLE repmgr.nodes');
    await assert.rejects(read('127.0.0.1', [primary.port, 1], SUPERUSER), /"repmgr.nodes" does not exist/);
  });
});
