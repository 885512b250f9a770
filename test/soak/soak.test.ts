import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableDrivers } from '../harness/drivers.js';
import { soak } from './soak.js';
import { judge } from './verdict.js';

const SECONDS = 4;
const TURN_SECONDS = 4;

test(`${SECONDS} seconds of everything that goes wrong leave nothing behind`, async () => {
  const seed = Math.floor(Math.random() * 0x7fff_ffff);
  const io = availableDrivers[0]!;
  const report = await soak({ io, seed, seconds: SECONDS, turnSeconds: TURN_SECONDS });
  assert.deepEqual(judge(report), [], `seed ${seed}`);
});
