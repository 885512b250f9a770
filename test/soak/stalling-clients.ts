/** Clients that ask for much and read nothing, or begin a message and never end it. */
import { setTimeout as pause } from 'node:timers/promises';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { DATABASES, type Ground, many, PASSWORD, type Siege, type Stop } from './siege.js';

const STAY_MS_MAX = 4000;
const POLL_MS = 50;
const ANSWER_LIMIT_MS = 30_000;
const BIG_RESULT = "SELECT repeat('y', 1000) FROM generate_series(1, 20000)";

export function stallingClients(atOnce: number): Siege {
  return {
    name: 'clients that stall',
    lay: (ground, stop) => many(atOnce, stop, () => stall(ground, stop)),
  };
}

async function stall({ gateway, random, count }: Ground, stop: Stop): Promise<void> {
  let client: RawClient | null = null;
  try {
    client = await RawClient.login(
      gateway,
      { database: DATABASES.stalled },
      { answerLimitMs: ANSWER_LIMIT_MS, password: PASSWORD },
    );
    client.discardsAnswers = true;
    if (random.chance(0.5)) {
      client.pause();
      client.send(send.query(BIG_RESULT));
    } else {
      const message = send.query(`SELECT '${'z'.repeat(random.below(5000))}'`);
      client.send(message.subarray(0, 1 + random.below(message.length - 1)));
    }
    const until = performance.now() + random.below(STAY_MS_MAX);
    while (!stop.now && performance.now() < until) await pause(POLL_MS);
    count('clients that stalled');
  } catch {
    count('stalling clients that were turned away');
    await pause(POLL_MS);
  } finally {
    if (random.chance(0.5)) client?.reset();
    else client?.destroy();
  }
}
