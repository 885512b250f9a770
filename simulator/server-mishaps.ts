/** What a model server says when it breaks off, or has been taken over. */
import * as Backend from '../src/wire/backend.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';

/** Why PostgreSQL ends a session: SQLSTATE and message. */
export const LAST_WORDS = [
  ['57P01', 'terminating connection due to administrator command'],
  ['57P05', 'terminating connection due to idle-session timeout'],
  ['25P03', 'terminating connection due to idle-in-transaction timeout'],
] as const;

/** No message: a negative length, an unknown type, a length beyond every limit. The gateway must close. */
export const GARBAGE: readonly Buffer[] = [
  [0x44, 0xff, 0xff, 0xff, 0xff],
  [0x21, 0, 0, 0, 4],
  [0x54, 0x7f, 0xff, 0xff, 0xff],
].map((bytes) => Buffer.from(bytes));

/** How a session may end before its time, each as often as it stands here. */
export const WAYS_TO_DIE = [
  ...(['fatal', 'fatal', 'fatal', 'reset', 'close', 'half'] as const),
  ...(['garbage', 'nonsense', 'nonsense'] as const),
] as const;
/** How long a server stays that has sent nonsense, in ms. */
export const NONSENSE_MS_MAX = 300;

const text = (words: string): Buffer => Buffer.from(words, 'latin1');

/** Messages with a body that no server sends: the gateway may pass errors on, and must survive all of them. */
export const NONSENSE: readonly Packet[] = [
  Packets.packet(Backend.ErrorResponse, Buffer.of(0)),
  Packets.packet(Backend.ErrorResponse, text('SERROR\0Mno code\0\0')),
  Packets.packet(Backend.ErrorResponse, text('SFATAL\0Mno code\0\0')),
  Packets.packet(Backend.ErrorResponse, text('no end')),
  Packets.packet(Backend.ErrorResponse),
  Packets.packet(Backend.ParameterStatus, text('TimeZone\0no end')),
  Packets.packet(Backend.ParameterStatus),
  Packets.packet(Backend.ReadyForQuery),
  Packets.packet(Backend.ReadyForQuery, text('?')),
  Packets.packet(Backend.ReadyForQuery, text('II')),
  Packets.packet(Backend.BackendKeyData),
  Packets.packet(Backend.Authentication, Packets.int32(-1)),
];
