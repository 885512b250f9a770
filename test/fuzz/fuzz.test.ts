import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeDrivers } from '../harness/drivers.js';
import { planAttack } from './attack.js';
import { assertLevel, fuzz } from './fuzz.js';

const SECONDS = 6;

describeDrivers('fuzz', (io) => {
  test(`${SECONDS} seconds of hostile clients harm nobody`, async () => {
    const seed = Math.floor(Math.random() * 0x7fff_ffff);
    const report = await fuzz({ io, seed, seconds: SECONDS });
    assert.ok(report.attacks > 20, `${report.attacks} attacks`);
    assert.ok(report.answers > 100, `${report.answers} answers`);
    assertLevel(report);
  });
});

test('an attack follows from its seed and number', () => {
  assert.deepEqual(planAttack(7, 11), planAttack(7, 11));
  assert.notDeepEqual(planAttack(7, 11), planAttack(7, 12));
  assert.notDeepEqual(planAttack(7, 11), planAttack(8, 11));
});
