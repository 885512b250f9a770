/** Clients that never log in properly: garbage, wrong lengths, endless startup packets, silence. */
import { ProtocolVersion3, SSLRequestCode } from '../src/wire/frontend.js';
import type { Ground } from './ground.js';
import * as Packets from './packets.js';
import type { Random } from './random.js';
import type { Peer, SimConnection } from './sim-connection.js';
import { CLIENT_HELLO } from './sim-io.js';
import { tokens } from './sql.js';

/** How long after client_login_timeout the gateway must have closed the connection, in ms. */
const GRACE_MS = 2500;

export class HostileClient implements Peer {
  readonly label: string;
  gone = false;
  /** What the first byte that it gets may be, if it gets one; null: anything. */
  private firstByte: readonly number[] | null = null;
  private readonly ground: Ground;
  private readonly random: Random;
  private connection!: SimConnection;

  constructor(ground: Ground, id: number) {
    this.ground = ground;
    this.label = `hostile client ${id}`;
    this.random = ground.random.fork();
  }

  connect(): void {
    const { io, schedule, plan, ledger } = this.ground;
    io.accept((connection) => {
      this.connection = connection;
      return this;
    });
    const isTlsOffered = plan.settings.tls.clientMode !== 'disable';
    const words = isTlsOffered ? [...FIRST_WORDS, ...TLS_WORDS] : FIRST_WORDS;
    const bytes = this.random.pick(words)(this.random);
    this.beginsTls(bytes);
    ledger.trace(() => `${this.label} -> ${bytes.toString('hex', 0, 40)}`);
    this.connection.toGateway.write(bytes);
    // Stalls may hold up what the gateway sends, and with it the end.
    const patience = plan.settings.clientLoginTimeoutMs + GRACE_MS + 4 * plan.weather.stallMsMax;
    schedule.after(patience, () => {
      if (this.gone || this.connection.state === 'closing') return;
      ledger.fail(`${this.label} was not closed within client_login_timeout`);
    });
  }

  /** What it sends announces TLS, in a way in which it may not be spoken. */
  private beginsTls(bytes: Buffer): void {
    const { io, ledger, plan } = this.ground;
    if (plan.settings.tls.clientMode === 'disable') return;
    if (bytes.length > SSL_REQUEST.length && bytes.subarray(0, SSL_REQUEST.length).equals(SSL_REQUEST)) {
      ledger.note('bytes behind SSLRequest');
      this.firstByte = [ERROR, ACCEPTED];
    } else if (bytes.length === 1 && bytes[0] === CLIENT_HELLO && this.random.chance(0.7)) {
      ledger.note('direct TLS for another application');
      io.peerStartsTls(this.connection, this.random.pick([null, 'http/1.1']));
    }
  }

  /** Direct TLS is there, but not for PostgreSQL: what a client would send next must be of no use. */
  secured(): void {
    this.firstByte = [ERROR];
    this.connection.toGateway.write(Packets.startup(ProtocolVersion3, ALICE));
  }

  received(piece: Buffer): void {
    if (this.firstByte !== null && !this.firstByte.includes(piece[0]!)) {
      return this.ground.ledger.fail(`${this.label} was served: ${piece.toString('latin1', 0, 40)}`);
    }
    this.firstByte = null;
    if (piece.length === 1 && piece[0] === ACCEPTED && this.connection.tls === 'gateway began') {
      // Some fall silent, some go on without TLS.
      if (this.random.chance(0.5)) this.connection.toGateway.write(Packets.startup(ProtocolVersion3, ALICE));
      return;
    }
    if (tokens(piece.toString('latin1')).length > 0) {
      this.ground.ledger.fail(`${this.label} received bytes of another client`);
    }
  }

  ended(): void {
    this.gone = true;
    this.ground.io.peerCloses(this.connection);
  }

  cut(): void {
    this.gone = true;
  }
}

const ACCEPTED = 0x53;
const ERROR = 0x45;
const ALICE = new Map([['user', 'alice']]);
const SSL_REQUEST = Packets.untyped(Packets.int32(SSLRequestCode));

const TLS_WORDS: readonly ((random: Random) => Buffer)[] = [
  () => SSL_REQUEST,
  // CVE-2021-3935: what stands behind the request must not be taken for the client's later words.
  () => Buffer.concat([SSL_REQUEST, Packets.startup(ProtocolVersion3, ALICE)]),
  () => Buffer.of(CLIENT_HELLO),
  () => Buffer.of(CLIENT_HELLO, 3, 1, 0, 0),
  () => Packets.startup(ProtocolVersion3, ALICE),
];

const FIRST_WORDS: readonly ((random: Random) => Buffer)[] = [
  () => Buffer.alloc(0),
  (random) => Buffer.from(random.bytes(random.int(1, 600))),
  () => Packets.int32(-1),
  () => Packets.int32(0x7fff_ffff),
  () => Packets.int32(4),
  () => Buffer.concat([Packets.int32(10_005), Buffer.alloc(12_000, 0x61)]),
  () => Buffer.concat([Packets.int32(9000), Packets.int32(ProtocolVersion3), Buffer.alloc(4000, 0x61)]),
  () => Packets.untyped(Packets.int32(ProtocolVersion3), Buffer.from('user\0alice')),
  () => Packets.startup(0x0002_0000, new Map([['user', 'alice']])),
  () => Packets.startup(ProtocolVersion3, new Map([['database', 'app']])),
  () => Buffer.from('GET / HTTP/1.1\r\nHost: db.example\r\n\r\n'),
  () => Buffer.concat(Array.from({ length: 40 }, () => Packets.untyped(Packets.int32(80877103)))),
  () =>
    Buffer.concat([
      Packets.startup(
        ProtocolVersion3,
        new Map([
          ['user', 'mallory'],
          ['database', 'nowhere'],
        ]),
      ),
      Packets.packet(0x70, Buffer.alloc(70_000)).bytes,
    ]),
  () => Packets.untyped(Packets.int32(80877102), Packets.int32(1), Packets.int32(42)),
  () => Packets.untyped(Packets.int32(80877102), Packets.int32(-77), Buffer.alloc(300)),
];

/** What a client that is logged in may not send. `fatal`: PostgreSQL closes the connection at once. */
export const OFFENCES: readonly { readonly fatal: boolean; bytes(random: Random): Buffer }[] = [
  { fatal: true, bytes: () => Buffer.concat([Buffer.from('Q'), Packets.int32(-5)]) },
  { fatal: true, bytes: () => Buffer.concat([Buffer.from('Q'), Packets.int32(3), Buffer.alloc(20)]) },
  { fatal: true, bytes: () => Buffer.concat([Buffer.from('!'), Packets.int32(8), Packets.int32(0)]) },
  { fatal: true, bytes: () => Packets.startup(ProtocolVersion3, new Map([['user', 'alice']])) },
  { fatal: true, bytes: () => Buffer.concat([Buffer.from('P'), Packets.int32(0x7fff_ffff)]) },
  {
    fatal: false,
    bytes: () => Buffer.concat([Buffer.from('Q'), Packets.int32(100_000), Buffer.alloc(5000, 0x20)]),
  },
  { fatal: false, bytes: () => Packets.packet(0x42, Buffer.from('no zero byte')).bytes },
  { fatal: false, bytes: () => Packets.packet(0x50, Buffer.alloc(0)).bytes },
  { fatal: false, bytes: () => Packets.packet(0x44, Buffer.from('X\0')).bytes },
  { fatal: false, bytes: () => Packets.packet(0x43, Buffer.alloc(0)).bytes },
  { fatal: false, bytes: (random) => Buffer.from(random.bytes(random.int(1, 300))) },
];
