/**
 * `npm run soak -- [--minutes 10] [--io uring] [--seed N] [--turn 20]`
 * Lays siege to a running gateway, prints a table of what it held after each turn, and ends with 0 when that is level
 * and no well-behaved client was harmed. `--turn` is how long one turn is, in seconds.
 */
import { parseArgs } from 'node:util';
import { availableDrivers } from '../harness/drivers.js';
import type { Driver } from '../harness/gateway-under-test.js';
import type { Resources } from './resources.js';
import { soak, type Turn } from './soak.js';
import { judge } from './verdict.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    turn: { type: 'string', default: '20' },
    io: { type: 'string' },
    seed: { type: 'string' },
  },
});
const io = (values.io ?? availableDrivers[0]) as Driver;
const seed = values.seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(values.seed);
const seconds = Number(values.minutes) * 60;
const turnSeconds = Math.min(Number(values.turn), seconds);

const NAME_WIDTH = 58;

function row(
  name: string,
  { residentBytes, descriptors }: Resources,
  answers: string,
  counts: string,
): string {
  const memory = `${(residentBytes / (1 << 20)).toFixed(1)} MB`;
  return `${name.padEnd(NAME_WIDTH)} ${memory.padStart(9)} ${String(descriptors).padStart(4)} ${answers.padStart(8)}  ${counts}`;
}

function show({ name, resources, counts, answers }: Turn): void {
  const told = [...counts].map(([what, times]) => `${times} ${what}`).join(', ');
  console.log(row(name, resources, String(answers), told));
}

console.log(`driver ${io}, seed ${seed}: ${seconds} s in turns of ${turnSeconds} s`);
console.log(
  `${'after'.padEnd(NAME_WIDTH)} ${'memory'.padStart(9)} ${'fds'.padStart(4)} ${'answers'.padStart(8)}`,
);
const report = await soak({ io, seed, seconds, turnSeconds, onTurn: show });
console.log(row('at the beginning', report.baseline, '', ''));
const against = judge(report);
for (const reason of against) console.log(`NOT LEVEL: ${reason}`);
if (against.length === 0) console.log('level, and nobody was harmed');
process.exitCode = against.length === 0 ? 0 : 1;
