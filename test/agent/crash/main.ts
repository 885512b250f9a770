/** `npm run test:crashes`: an agent is killed at each step of what it does, and the next life mends it. */
import { parseArgs } from 'node:util';
import { CrashGround, SCENARIOS, type Scenario } from './scenarios.js';

const HELP = `npm run test:crashes [-- OPTIONS]

Kills an agent before each file that it changes, each program that it starts, each signal and statement, and in the middle of
what takes long; then a next life has to complete what was begun, or to begin it anew.

  --scenario NAME   only this one of ${SCENARIOS.join(', ')}
  --step N          only before this step
  --help            this`;

const { values } = parseArgs({
  options: {
    scenario: { type: 'string' },
    step: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const scenarios = values.scenario === undefined ? SCENARIOS : [values.scenario as Scenario];
let failures = 0;
const ground = await CrashGround.open();
try {
  for (const scenario of scenarios) await crashAll(scenario);
} finally {
  await ground.close();
}
console.log(failures === 0 ? 'every crash was mended' : `${failures} crashes were not mended`);
process.exitCode = failures === 0 ? 0 : 1;

async function crashAll(scenario: Scenario): Promise<void> {
  const steps = await ground.steps(scenario);
  const chosen = values.step === undefined ? steps.map((_, index) => index + 1) : [Number(values.step)];
  for (const step of chosen) {
    const name = `${scenario} ${step} of ${steps.length}, before ${steps[step - 1]}`;
    try {
      await ground.crash(scenario, step);
      console.log(`mended  ${name}`);
    } catch (error) {
      failures++;
      console.log(`BROKEN  ${name}\n${(error as Error).stack}`);
    }
  }
}
