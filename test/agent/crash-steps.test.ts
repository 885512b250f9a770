/** An agent that is killed half-way; `npm run test:crashes` does it at every step. */
import { test } from 'node:test';
import { CrashGround } from './crash/scenarios.js';

test('a clone that was broken off by a kill is begun anew, and nobody writes into it any more', async () => {
  const ground = await CrashGround.open();
  try {
    await ground.crash('clone', 'spawn pg_basebackup, 5 ms later');
  } finally {
    await ground.close();
  }
});
