/**
 * `npm run fuzz -- [--seconds 60] [--seed N] [--io uring] [--mode transaction] [--only 17,18]`
 * The time is for all drivers and both pool modes together. A failure names the seed and the attacks before it;
 * `--only` plays attacks again, one after the other.
 */
import { parseArgs } from 'node:util';
import { availableDrivers } from '../harness/drivers.js';
import type { Driver } from '../harness/gateway-under-test.js';
import { assertLevel, fuzz } from './fuzz.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    io: { type: 'string' },
    mode: { type: 'string' },
    only: { type: 'string' },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(values.seed);
const drivers = values.io === undefined ? availableDrivers : [values.io as Driver];
const modes = values.mode === undefined ? (['transaction', 'session'] as const) : [values.mode as 'session'];
const seconds = Number(values.seconds) / drivers.length / modes.length;
const only = values.only?.split(',').map(Number);
console.log(`seed ${seed}`);
for (const io of drivers) {
  for (const poolMode of modes) {
    const report = await fuzz({ io, seed, seconds, poolMode, ...(only === undefined ? {} : { only }) });
    const [early, late] = report.residentBytes.map((bytes) => `${(bytes / 1024 / 1024).toFixed(0)} MB`);
    console.log(
      `${io}, ${poolMode} mode: ${report.attacks} attacks, ${report.answers} right answers, memory ${early} -> ${late}`,
    );
    assertLevel(report);
  }
}
