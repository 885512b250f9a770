import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { dumpProgram } from '../harness/client-programs.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { scratchFolder } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';

const SETUP = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, mood mood, picture bytea, born date);
  INSERT INTO people (name, mood, picture, born)
    SELECT md5(i::text), (ARRAY['sad', 'ok', 'happy', NULL])[i % 4 + 1]::mood,
           decode(repeat(md5(i::text), 20), 'hex'), date '1970-01-01' + i
    FROM generate_series(1, 20000) i;
  CREATE TABLE visits (person int REFERENCES people, at timestamptz DEFAULT now());
  INSERT INTO visits SELECT i, 'epoch' FROM generate_series(1, 20000, 3) i;
  CREATE INDEX ON visits (person);
  CREATE VIEW happy AS SELECT * FROM people WHERE mood = 'happy';
  CREATE FUNCTION greeting(name text) RETURNS text LANGUAGE sql AS $$ SELECT 'hello ' || name $$;
`;

const CHECKSUM = `SELECT
  (SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM people p) AS people,
  (SELECT md5(string_agg(v::text, ',' ORDER BY person)) FROM visits v) AS visits,
  (SELECT count(*) FROM happy) AS happy,
  (SELECT greeting('you')) AS greeting,
  (SELECT last_value FROM people_id_seq) AS last`;

onEveryDriver('pg_dump and pg_restore', { setup: SETUP }, (stage) => {
  for (const mode of ['transaction', 'session'] as const) {
    for (const format of ['custom', 'directory'] as const) {
      // A parallel dump shares a snapshot between its connections.
      const jobs = format === 'custom' ? [] : ['-j', '3'];

      test(`a round trip, ${mode} mode, ${format} format`, async () => {
        const copy = `copy_${stage.io}_${mode}_${format}`;
        const file = join(scratchFolder('dump'), 'dump');
        await stage.server.query(`CREATE DATABASE ${copy}`);
        const settings = { pool_mode: mode };
        await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
          await dumpProgram('pg_dump', gateway, 'app', [`--format=${format}`, '-f', file, ...jobs]);
          await dumpProgram('pg_restore', gateway, copy, ['--exit-on-error', ...jobs, file]);
        });
        assert.deepEqual(await stage.server.query(CHECKSUM, copy), await stage.server.query(CHECKSUM));
      });
    }
  }

  test('several dumps one after the other', async () => {
    for (let i = 0; i < 3; i++) {
      const dump = await dumpProgram('pg_dump', stage.gateway, 'app', ['--schema-only']);
      assert.match(dump, /CREATE FUNCTION public\.greeting/);
    }
  });
});
