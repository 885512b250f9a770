/** One hostile connection, all of which follows from a seed and a number. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  buildCancelRequest,
  buildGssEncRequest,
  buildSslRequest,
  buildStartup,
} from '../../src/wire/startup.js';
import { SCRIPTS } from '../differential/scripts.js';
import { DATABASE, SUPERUSER } from '../harness/postgres-server.js';
import { type Endpoint, RawClient } from '../harness/raw-client.js';
import { mutate } from './mutation.js';
import { SeededRandom } from './random.js';

/** Longest that a hostile client stays after it has said everything, in ms. */
const LINGER_MS_MAX = 300;
const LOGIN_LIMIT_MS = 5000;

const ENDINGS = ['close', 'reset', 'half-close', 'stop reading'] as const;

export interface Attack {
  /** Whether it logs in properly first. */
  readonly logsIn: boolean;
  /** What it sends, each in a write of its own. */
  readonly pieces: readonly Buffer[];
  readonly ending: (typeof ENDINGS)[number];
  readonly lingerMs: number;
}

/** Makes attack number `index` of a run with this seed: the same one each time. */
export function planAttack(seed: number, index: number): Attack {
  const random = new SeededRandom(
    Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(index + 1, 0xc2b2_ae35),
  );
  const logsIn = random.chance(0.8);
  const packets = logsIn ? sessionMessages(random) : firstPackets(random);
  return {
    logsIn,
    pieces: cutUp(Buffer.concat(mutate(packets, random)), random),
    ending: random.pick(ENDINGS),
    lingerMs: random.chance(0.5) ? 0 : random.below(LINGER_MS_MAX),
  };
}

/** The messages of one to three scripts of the differential tests. */
function sessionMessages(random: SeededRandom): Buffer[] {
  const messages: Buffer[] = [];
  for (let scripts = 1 + random.below(3); scripts > 0; scripts--) {
    for (const step of random.pick(SCRIPTS).steps) {
      if (typeof step !== 'string') messages.push(...wholeMessages(Buffer.from(step)));
    }
  }
  return messages;
}

function wholeMessages(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    messages.push(bytes.subarray(at, end));
    at = end;
  }
  return messages;
}

function firstPackets(random: SeededRandom): Buffer[] {
  const parameters = new Map([
    ['user', random.chance(0.8) ? SUPERUSER : 'x'.repeat(random.below(12_000))],
    ['database', random.chance(0.8) ? DATABASE : `db${random.below(5)}`],
  ]);
  for (let extra = random.below(4); extra > 0; extra--) {
    parameters.set(
      random.pick(['application_name', 'options', '_pq_.x', 'replication', 'nonsense']),
      '-c x=1',
    );
  }
  const packets = [
    () => buildStartup(parameters, random.pick([0, 2, 3, 99])),
    () => buildSslRequest(),
    () => buildGssEncRequest(),
    () => buildCancelRequest(random.below(0x7fff_ffff), random.bytes(random.pick([4, 5, 32, 256]))),
    () => random.bytes(1 + random.below(300)),
    () => Buffer.concat([Buffer.from([0, 0, 0x27, 0x14, 0, 3, 0, 0]), random.bytes(10_000)]),
  ];
  return Array.from({ length: 1 + random.below(4) }, () => random.pick(packets)());
}

function cutUp(bytes: Buffer, random: SeededRandom): Buffer[] {
  const pieces: Buffer[] = [];
  const most = random.pick([1, 7, 100, 5000, Number.POSITIVE_INFINITY]);
  // Byte by byte only for the first few: the rest comes as one.
  for (let at = 0; at < bytes.length; ) {
    const size =
      pieces.length < 50 ? 1 + Math.floor(random.next() * Math.min(most, bytes.length - at)) : bytes.length;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

/** Carries an attack out. Nothing that happens to it is wrong, as long as it ends. */
export async function carryOut(attack: Attack, target: Endpoint): Promise<void> {
  const client = await RawClient.connect(target, { answerLimitMs: LOGIN_LIMIT_MS }).catch(() => null);
  if (client === null) return;
  client.discardsAnswers = true;
  try {
    if (attack.logsIn) {
      client.startup();
      client.discardsAnswers = false;
      await client.untilReady();
      client.discardsAnswers = true;
    }
    for (const piece of attack.pieces) {
      if (client.closed) return;
      client.send(piece);
      await new Promise(setImmediate);
    }
    if (attack.ending === 'stop reading') client.pause();
    if (attack.ending === 'half-close') client.end();
    if (attack.lingerMs > 0) await pause(attack.lingerMs);
  } catch {
    // It was thrown out.
  } finally {
    if (attack.ending === 'reset') client.reset();
    else client.destroy();
  }
}
