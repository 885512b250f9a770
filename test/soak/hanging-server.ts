/** Clients of a database whose server falls silent at any moment. They give up after a while, as people do. */
import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../harness/raw-client.js';
import { DATABASES, type Ground, many, PASSWORD, type Siege } from './siege.js';

const PATIENCE_MS = 1500;
const BETWEEN_MS = 20;

export function hangingServer(atOnce: number): Siege {
  return {
    name: 'a server that hangs in its login, a message, a TLS record',
    lay: (ground, stop) => many(atOnce, stop, () => tryToWork(ground)),
  };
}

async function tryToWork({ gateway, random, count }: Ground): Promise<void> {
  let client: RawClient | null = null;
  try {
    client = await RawClient.login(
      gateway,
      { database: DATABASES.hanging },
      { answerLimitMs: PATIENCE_MS, password: PASSWORD },
    );
    for (let turns = 1 + random.below(10); turns > 0; turns--) {
      await client.query(`SELECT repeat('h', ${random.below(3000)})`);
      count('answers of the hanging server');
    }
  } catch {
    count('clients lost with the hanging server');
    await pause(BETWEEN_MS);
  } finally {
    if (random.chance(0.5)) client?.reset();
    else client?.destroy();
  }
}
