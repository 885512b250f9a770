/** Logins with passwords that are wrong, of users who are there and who aren't, as many a second as are asked for. */
import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../harness/raw-client.js';
import { saslInitialResponse, saslResponse } from '../harness/scram-login.js';
import type { Ground, Siege } from './siege.js';
import { DATABASES } from './siege.js';

const TICK_MS = 20;
const IN_FLIGHT_MAX = 400;
const ANSWER_LIMIT_MS = 30_000;
const GS2_HEADER = 'n,,';

/** @param user exists; logins of others are tried too. */
export function badPasswords(user: string, perSecond: number): Siege {
  return {
    name: `${perSecond} logins a second with bad passwords`,
    async lay(ground, stop) {
      const inFlight = new Set<Promise<void>>();
      const began = performance.now();
      for (let started = 0; !stop.now; ) {
        const due = ((performance.now() - began) / 1000) * perSecond;
        for (; started < due && inFlight.size < IN_FLIGHT_MAX; started++) {
          const name = ground.random.chance(0.5) ? user : `nobody${ground.random.below(100)}`;
          const attempt = attemptLogin(ground, name).finally(() => inFlight.delete(attempt));
          inFlight.add(attempt);
        }
        if (started < due) started = Math.floor(due);
        await pause(TICK_MS);
      }
      await Promise.all(inFlight);
    },
  };
}

/** SCRAM up to a proof that is made up: no password is needed to be wrong. */
async function attemptLogin({ gateway, random, count, fail }: Ground, user: string): Promise<void> {
  let client: RawClient;
  try {
    client = await RawClient.connect(gateway, { answerLimitMs: ANSWER_LIMIT_MS });
  } catch {
    count('logins without a connection');
    return;
  }
  try {
    client.startup({ user, database: DATABASES.calm });
    const first = await client.next();
    if (first.type !== 'R') return count('bad passwords turned away early');
    const bare = `n=,r=${random.bytes(12).toString('base64')}`;
    client.send(saslInitialResponse(Buffer.from(`${GS2_HEADER}${bare}`)));
    const challenge = await client.next();
    if (challenge.type !== 'R') return count('bad passwords turned away early');
    const nonce = /r=([^,]+)/.exec(challenge.body.toString('latin1', 4))?.[1] ?? '';
    const proof = random.bytes(32).toString('base64');
    const header = Buffer.from(GS2_HEADER).toString('base64');
    client.send(saslResponse(Buffer.from(`c=${header},r=${nonce},p=${proof}`)));
    const messages = await client.untilEnd();
    if (messages.some(({ type }) => type === 'Z')) fail(`${user} was let in with a wrong password`);
    count(messages.some(({ type }) => type === 'E') ? 'bad passwords refused' : 'bad passwords closed');
  } catch {
    count('bad passwords closed');
  } finally {
    client.destroy();
  }
}
