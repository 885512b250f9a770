import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch.js';
import {
  forgetOwnConfiguration,
  keepOwnConfiguration,
  restoreOwnConfiguration,
} from './own-configuration.js';
import type { PostgresSettings } from './postgres-side.js';
import { markDamaged, nodePaths, unmark } from './state-folder.js';

test("a node's own configuration is kept until its data are whole, whoever says that they are", async () => {
  const data = join(scratchFolder('own-configuration'), 'n');
  const paths = nodePaths({ data } as PostgresSettings);
  for (const folder of [data, paths.folder]) mkdirSync(folder, { recursive: true });
  const file = join(data, 'postgresql.conf');
  writeFileSync(file, 'own');
  await keepOwnConfiguration(paths);
  await markDamaged(paths, 'a rewind has not come to its end.');
  writeFileSync(file, "the primary's");
  await forgetOwnConfiguration(paths);
  await keepOwnConfiguration(paths);
  await restoreOwnConfiguration(paths, null);
  assert.equal(readFileSync(file, 'utf8'), 'own');
  await unmark(paths);
  await forgetOwnConfiguration(paths);
  assert.ok(!existsSync(paths.ownConfiguration));
});
