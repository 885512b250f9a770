/** One hostile connection, all of which follows from a seed and a number. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  buildCancelRequest,
  buildGssEncRequest,
  buildSslRequest,
  buildStartup,
} from '../../src/wire/startup.js';
import { SCRIPTS } from '../differential/scripts.js';
import * as send from '../harness/frontend-message.js';
import { DATABASE, SUPERUSER } from '../harness/postgres-server.js';
import { type Endpoint, RawClient } from '../harness/raw-client.js';
import { mutate } from './mutation.js';
import { SeededRandom } from './random.js';

/** Longest that a hostile client stays after it has said everything, in ms. */
const LINGER_MS_MAX = 300;
const LOGIN_LIMIT_MS = 5000;

const ENDINGS = ['close', 'reset', 'half-close', 'stop reading'] as const;

/** As what it logs in properly before it attacks; a stranger begins with the attack. */
const ROLES = ['client', 'console', 'replication', 'stranger'] as const;
type Role = (typeof ROLES)[number];

export interface Attack {
  readonly role: Role;
  /** Everything is said within TLS. */
  readonly isEncrypted: boolean;
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
  const role = pickRole(random);
  const isEncrypted = random.chance(0.25);
  const packets = MESSAGES[role](random);
  return {
    role,
    isEncrypted,
    pieces: cutUp(Buffer.concat(mutate(packets, random)), random),
    ending: random.pick(ENDINGS),
    lingerMs: random.chance(0.5) ? 0 : random.below(LINGER_MS_MAX),
  };
}

function pickRole(random: SeededRandom): Role {
  if (random.chance(0.65)) return 'client';
  return random.pick(ROLES);
}

const MESSAGES: Readonly<Record<Role, (random: SeededRandom) => Buffer[]>> = {
  client: sessionMessages,
  console: consoleMessages,
  replication: replicationMessages,
  stranger: firstPackets,
};

/** Parameters of a startup packet, by role. */
const STARTUP_PARAMETERS: Readonly<Record<Exclude<Role, 'stranger'>, Readonly<Record<string, string>>>> = {
  client: {},
  console: { database: 'pgbouncer' },
  replication: { replication: 'database' },
};

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

const CONSOLE_STATEMENTS = [
  'SHOW POOLS',
  'SHOW CLIENTS',
  'SHOW SERVERS',
  'SHOW STATS',
  'SHOW CONFIG',
  'SHOW SOCKETS',
  'SHOW HELP',
  'SHOW DATABASES;',
  'SHOW',
  'SHOW nonsense',
  'SHOW NODES',
  'SHOW SHAPES',
  'SHOW ROUTE',
  "SHOW ROUTE app 'SELECT 1'",
  "SHOW POOLS WHERE database = 'app' ORDER BY cl_active LIMIT 3",
  'SHUTDOWN',
  'PAUSE app',
  'KILL_CLIENT 1',
  'SET default_pool_size = 3',
  "SET application_name TO 'x'",
  'SELECT 1',
  'BEGIN; COMMIT',
  '',
] as const;

/** Somebody who may look at the console, and nothing more. */
function consoleMessages(random: SeededRandom): Buffer[] {
  const messages: Buffer[] = [];
  for (let statements = 1 + random.below(5); statements > 0; statements--) {
    const sql = random.pick(CONSOLE_STATEMENTS);
    if (random.chance(0.4)) messages.push(send.query(sql));
    else {
      const name = random.pick(['', 's']);
      const parts = [
        send.parse(name, sql),
        send.describeStatement(name),
        send.bind('', name),
        send.describePortal(''),
        send.execute(''),
        send.closeStatement(name),
      ];
      messages.push(...parts.filter(() => random.chance(0.8)), send.sync());
    }
  }
  return messages;
}

function replicationMessages(random: SeededRandom): Buffer[] {
  const statements = [
    'IDENTIFY_SYSTEM',
    'SHOW wal_level',
    'START_REPLICATION SLOT "nowhere" LOGICAL 0/0',
    'START_REPLICATION 0/1000000',
    "BASE_BACKUP (MANIFEST 'no')",
    'SELECT 1',
  ];
  const messages = Array.from({ length: 1 + random.below(4) }, () => send.query(random.pick(statements)));
  if (random.chance(0.5)) messages.push(send.copyData('r'.repeat(34)), send.copyDone());
  return messages;
}

/** Something like a TLS record: its type, a version and a length, and not always what they announce. */
function tlsRecord(random: SeededRandom): Buffer {
  const body = random.bytes(random.below(400));
  const header = Buffer.from([random.pick([0x14, 0x15, 0x16, 0x17, 0x80]), 3, random.below(5), 0, 0]);
  header.writeUInt16BE(random.chance(0.7) ? body.length : random.below(65_536), 3);
  return Buffer.concat([header, body]);
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
    () => Buffer.concat([buildSslRequest(), tlsRecord(random)]),
    () => tlsRecord(random),
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
  try {
    client.discardsAnswers = false;
    if (attack.isEncrypted) await client.secure();
    if (attack.role !== 'stranger') {
      client.startup(STARTUP_PARAMETERS[attack.role]);
      await client.untilReady();
    }
    client.discardsAnswers = true;
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
