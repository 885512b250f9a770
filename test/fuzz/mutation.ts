/** What is done to the messages of a valid session. Each takes whole messages and gives what is sent instead. */
import type { SeededRandom } from './random.js';

type Mutation = (messages: Buffer[], random: SeededRandom) => Buffer[];

/** More would only keep this process busy, which the well-behaved clients share. */
const DUPLICATES_BYTES_MAX = 8 << 20;
/** Lengths at which codecs break. */
const LENGTHS = [
  -1, -2_147_483_648, 0, 1, 3, 4, 5, 6, 255, 8191, 65_536, 1_000_000, 0x3fff_ffff, 0x7fff_ffff,
];
/** All types that a client or a server may send, and some that nobody sends. */
const TYPES = Buffer.from('BCDEFHPQSXcdfpR12ZTtKNAGWsvnVI\0\xff!', 'latin1');

function atOne(change: (message: Buffer, random: SeededRandom) => Buffer): Mutation {
  return (messages, random) => {
    const changed = [...messages];
    const at = random.below(changed.length);
    if (changed[at] !== undefined) changed[at] = change(Buffer.from(changed[at]), random);
    return changed;
  };
}

const flipBits = atOne((message, random) => {
  for (let flips = 1 + random.below(4); flips > 0 && message.length > 0; flips--) {
    const at = random.below(message.length);
    message[at] = (message[at] as number) ^ (1 << random.below(8));
  }
  return message;
});

const changeLength = atOne((message, random) => {
  if (message.length < 5) return message;
  const near = (message.readInt32BE(1) + random.below(9) - 4) | 0;
  message.writeInt32BE(random.chance(0.5) ? near : random.pick(LENGTHS), 1);
  return message;
});

const changeType = atOne((message, random) => {
  if (message.length > 0) message[0] = random.pick([...TYPES]);
  return message;
});

/** The length stays, so that what follows is taken for the rest of this message. */
const truncate = atOne((message, random) => message.subarray(0, random.below(message.length + 1)));

/** The length is put right, so that only the body is wrong. */
const cutBody = atOne((message, random) => {
  if (message.length <= 5) return message;
  const cut = Buffer.from(message.subarray(0, 5 + random.below(message.length - 5)));
  cut.writeInt32BE(cut.length - 1, 1);
  return cut;
});

const randomBody = atOne((message, random) => {
  const body = random.bytes(random.below(200));
  const made = Buffer.concat([message.subarray(0, 1), Buffer.alloc(4), body]);
  if (made.length >= 5) made.writeInt32BE(made.length - 1, 1);
  return made;
});

const swap: Mutation = (messages, random) => {
  const changed = [...messages];
  const one = random.below(changed.length);
  const two = random.below(changed.length);
  [changed[one], changed[two]] = [changed[two] as Buffer, changed[one] as Buffer];
  return changed;
};

const duplicate: Mutation = (messages, random) => {
  const at = random.below(messages.length);
  const many = Math.min(2000, Math.ceil(DUPLICATES_BYTES_MAX / ((messages[at]?.length ?? 0) + 1)));
  const times = random.chance(0.1) ? random.below(many) : 1 + random.below(3);
  const copies = Array.from({ length: times }, () => messages[at] as Buffer);
  return [...messages.slice(0, at), ...copies, ...messages.slice(at)];
};

const drop: Mutation = (messages, random) => {
  const at = random.below(messages.length);
  return messages.filter((_, i) => i !== at);
};

const insertNoise: Mutation = (messages, random) => {
  const at = random.below(messages.length + 1);
  return [...messages.slice(0, at), random.bytes(1 + random.below(100)), ...messages.slice(at)];
};

const insertMessage: Mutation = (messages, random) => {
  const at = random.below(messages.length + 1);
  const message = Buffer.concat([
    Buffer.from([random.pick([...TYPES])]),
    Buffer.alloc(4),
    random.bytes(random.below(50)),
  ]);
  message.writeInt32BE(message.length - 1, 1);
  return [...messages.slice(0, at), message, ...messages.slice(at)];
};

const MUTATIONS: readonly Mutation[] = [
  flipBits,
  changeLength,
  changeType,
  truncate,
  cutBody,
  randomBody,
  swap,
  duplicate,
  drop,
  insertNoise,
  insertMessage,
];

/** Changes messages in up to three ways; sometimes in none, because a lost client is a fault too. */
export function mutate(messages: readonly Buffer[], random: SeededRandom): Buffer[] {
  let changed = [...messages];
  for (let rounds = random.below(4); rounds > 0 && changed.length > 0; rounds--) {
    changed = random.pick(MUTATIONS)(changed, random);
  }
  return changed;
}
