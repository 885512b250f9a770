/**
 * The simulator's driver: {@link Io} without sockets, clock or chance. It is as unkind as the contract allows
 * (ranges are overwritten after the event, ids are reused at once, pieces still come after a pause), and it reports
 * every breach of the contract by the core.
 */
import type { AuthorityAnswer, AuthorityQuestion } from '../src/core/authority.js';
import type {
  Io,
  IoEvents,
  KeyRequest,
  PeerCredentials,
  Report,
  ServerAddress,
  TlsSide,
} from '../src/core/io.js';
import { HEADER_BYTES } from '../src/wire/framing.js';
import { Channel, PIECE_BYTES_MAX, type Weather } from './channel.js';
import type { Random } from './random.js';
import type { Schedule } from './schedule.js';
import type { Peer, SimConnection } from './sim-connection.js';
import type { Situation } from './situations.js';

/** What the driver needs of the scenario around it. */
export interface SimIoHost {
  readonly schedule: Schedule;
  readonly random: Random;
  readonly weather: Weather;
  /** Something that must not be: the run ends with it. */
  violation(what: string): void;
  /** Answers a connect: a server's end, or how it fails. */
  dial(address: ServerAddress): Dialled;
  askAuthority(question: AuthorityQuestion): { delayMs: number; answer: AuthorityAnswer };
  deriveKey(request: KeyRequest): { delayMs: number; key: Uint8Array | null };
  reported(report: Report): void;
  note(situation: Situation): void;
  trace(line: () => string): void;
}

export type Dialled =
  /** `uid`: whose process it is, at a unix socket. */
  | {
      readonly kind: 'accept';
      readonly delayMs: number;
      readonly uid?: number;
      peer(connection: SimConnection): Peer;
    }
  | { readonly kind: 'refuse'; readonly delayMs: number; readonly error: string }
  /** Nothing is ever heard. */
  | { readonly kind: 'silence' };

const ARENA_BYTES = 1 << 17;
const GARBAGE = 0xdb;
/** All that a model ClientHello is: a single byte needs no reassembly. */
export const CLIENT_HELLO = 0x16;
/** Of every certificate: channel binding is offered wherever TLS is spoken. */
const END_POINT = new Uint8Array(32).fill(7);
const NOBODY: Peer = { label: 'nobody', received() {}, ended() {}, cut() {} };

/** After "congested" the core may still be inside one event; more than this is back-pressure that doesn't work. */
const CONGESTED_SLACK_BYTES = 4 * PIECE_BYTES_MAX + 70_000;

export class SimIo implements Io {
  readonly memory = new Uint8Array(ARENA_BYTES).fill(GARBAGE);
  /** Set before the first event. */
  events!: IoEvents;
  readonly highWaterBytes: number;
  private readonly host: SimIoHost;
  private readonly connections: (SimConnection | undefined)[] = [];
  private readonly freeIds: number[] = [];
  /** The range of the `received` event being handled; empty outside one. */
  private rangeStart = 0;
  private rangeEnd = 0;
  /** An event is being handled; the core must not be called. */
  private inEvent = false;

  constructor(host: SimIoHost, highWaterBytes: number) {
    this.host = host;
    this.highWaterBytes = highWaterBytes;
  }

  /** Connections for which `closed` has not been delivered. */
  get open(): SimConnection[] {
    return this.connections.filter((connection) => connection !== undefined);
  }

  // --- What the core calls --------------------------------------------------------------------------------------

  now(): number {
    return this.host.schedule.now;
  }

  randomBytes(length: number): Uint8Array {
    return this.host.random.bytes(length);
  }

  send(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const connection = this.usable(id, 'send');
    if (connection === null) {
      this.connections[id]?.peer.announced?.(Buffer.alloc(0));
      return false;
    }
    if (start < 0 || end < start || end > bytes.length) {
      this.host.violation(`send of a range that is not there: ${start}..${end} of ${bytes.length}`);
      return false;
    }
    if (bytes === this.memory && (start < this.rangeStart || end > this.rangeEnd)) {
      this.host.violation(`send of a range of the arena that is no longer valid, to connection ${id}`);
    }
    if (connection.state === 'connecting') {
      this.host.violation(`send to connection ${id} before it is connected`);
      return false;
    }
    if (isHandshaking(connection)) return false;
    const copy = Buffer.from(bytes.subarray(start, end));
    connection.peer.announced?.(copy);
    if (connection.peerGone) {
      this.cutByPeer(connection, 'connection reset by peer');
      return false;
    }
    connection.toPeer.write(copy);
    return this.congestion(connection, copy.length);
  }

  private congestion(connection: SimConnection, sent: number): boolean {
    if (connection.congested) {
      connection.sentWhileCongested += sent;
      if (connection.sentWhileCongested > CONGESTED_SLACK_BYTES) {
        this.host.violation(
          `back-pressure does not work: ${connection.toPeer.queued} bytes wait for ${connection.peer.label}`,
        );
      }
    } else if (connection.toPeer.queued > this.highWaterBytes) {
      connection.congested = true;
      connection.sentWhileCongested = 0;
    }
    return connection.congested;
  }

  pauseReading(id: number): void {
    const connection = this.usable(id, 'pauseReading');
    if (connection === null || !connection.reading) return;
    connection.reading = false;
    connection.toGateway.pause(this.host.random.int(0, 2));
  }

  resumeReading(id: number): void {
    const connection = this.usable(id, 'resumeReading');
    if (connection === null || connection.reading) return;
    connection.reading = true;
    connection.toGateway.resume();
  }

  connect(address: ServerAddress): number {
    const dialled = this.host.dial(address);
    const connection = this.create('server', 'connecting');
    const { schedule } = this.host;
    this.host.trace(() => `gateway connects: connection ${connection.id} (${dialled.kind})`);
    if (dialled.kind === 'refuse') {
      schedule.after(dialled.delayMs, () => {
        if (connection.state === 'connecting') this.deliverClosed(connection, dialled.error);
      });
    } else if (dialled.kind === 'accept') {
      schedule.after(dialled.delayMs, () => {
        if (connection.state !== 'connecting') return;
        connection.state = 'open';
        connection.peerUid = dialled.uid ?? null;
        connection.peer = dialled.peer(connection);
        this.event(() => this.events.connected(connection.id));
      });
    }
    return connection.id;
  }

  finish(id: number): void {
    const connection = this.known(id, 'finish');
    if (connection === null || connection.state === 'closing' || connection.state === 'finishing') return;
    this.host.trace(() => `gateway finishes connection ${id} (${connection.peer.label})`);
    if (connection.state === 'connecting' || connection.peerGone) return this.reset(id);
    connection.state = 'finishing';
    connection.toGateway.close();
    connection.toPeer.end();
  }

  reset(id: number): void {
    const connection = this.known(id, 'reset');
    if (connection === null || connection.state === 'closing') return;
    this.host.trace(() => `gateway resets connection ${id} (${connection.peer.label})`);
    connection.toGateway.close();
    connection.toPeer.close();
    this.closeSoon(connection, null);
    this.host.schedule.after(this.host.random.fraction() * this.host.weather.latencyMsMax, () => {
      if (!connection.peerGone) connection.peer.cut();
    });
  }

  startTls(id: number, side: TlsSide, _serverName: string | null, start: number, end: number): void {
    const connection = this.usable(id, 'startTls');
    if (connection === null) return;
    if (side !== connection.kind) this.host.violation(`startTls for the wrong side of connection ${id}`);
    if (start < end && (end - start > 1 || this.memory[start] !== CLIENT_HELLO)) {
      return this.handshakeFails(connection);
    }
    if (connection.tls === 'peer began') this.handshake(connection);
    else if (connection.tls === 'none') connection.tls = 'gateway began';
    else this.host.violation(`startTls for connection ${id}, which speaks TLS already`);
  }

  /** The peer is ready for a TLS handshake: it takes place when the gateway is so too. */
  peerStartsTls(connection: SimConnection, applicationProtocol: string | null): void {
    connection.applicationProtocol = applicationProtocol;
    if (connection.tls === 'gateway began') this.handshake(connection);
    else connection.tls = 'peer began';
  }

  private handshake(connection: SimConnection): void {
    connection.tls = 'handshaking';
    this.host.schedule.after(this.host.random.fraction() * 2 * this.host.weather.latencyMsMax, () => {
      if (connection.state !== 'open' || connection.peerGone) return;
      connection.tls = 'secured';
      this.event(() =>
        this.events.secured(connection.id, {
          description: 'TLSv1.3/TLS_AES_256_GCM_SHA384',
          applicationProtocol: connection.applicationProtocol,
          peer: null,
          serverEndPoint: END_POINT,
        }),
      );
      connection.peer.secured?.();
    });
  }

  private handshakeFails(connection: SimConnection): void {
    connection.toGateway.close();
    connection.toPeer.close();
    this.closeSoon(connection, 'TLS handshake error: wrong version number');
    connection.peer.cut();
  }

  peerCredentials(id: number): PeerCredentials | null {
    const uid = this.known(id, 'peerCredentials')?.peerUid ?? null;
    return uid === null ? null : { uid, pid: 1 };
  }

  peerAddress(id: number): string {
    return `10.0.0.1:${10_000 + id}`;
  }

  localAddress(): string {
    return '10.0.0.2:6432';
  }

  /** No model client asks. */
  askConsole(): void {}

  askAuthority(id: number, question: AuthorityQuestion): void {
    const { delayMs, answer } = this.host.askAuthority(question);
    this.host.schedule.after(delayMs, () => this.event(() => this.events.authorityAnswered(id, answer)));
  }

  deriveKey(request: KeyRequest): void {
    const { delayMs, key } = this.host.deriveKey(request);
    this.host.schedule.after(delayMs, () => this.event(() => this.events.keyDerived(request.id, key)));
  }

  report(report: Report): void {
    this.host.trace(
      () => `gateway reports ${report.level}: ${report.message} ${JSON.stringify(report.facts ?? {})}`,
    );
    this.host.reported(report);
  }

  // --- What peers do --------------------------------------------------------------------------------------------

  /** A client connects to the gateway. */
  accept(makePeer: (connection: SimConnection) => Peer): SimConnection {
    const connection = this.create('client', 'open');
    connection.peer = makePeer(connection);
    this.event(() => this.events.accepted(connection.id, 0));
    return connection;
  }

  /** The peer closes both directions in an orderly way: the gateway reads the end after all bytes. */
  peerCloses(connection: SimConnection): void {
    connection.peerGone = true;
    connection.toGateway.end();
    if (connection.toPeer.queued > 0) {
      // What is still on its way to it is answered with a reset.
      const delay = this.host.random.fraction() * this.host.weather.latencyMsMax;
      this.host.schedule.after(delay, () => this.cutByPeer(connection, 'connection reset by peer'));
    }
    connection.toPeer.close();
    if (connection.state === 'finishing') this.closeSoon(connection, null);
  }

  /** The peer (or the network) cuts the connection. */
  cutByPeer(connection: SimConnection, error: string): void {
    connection.peerGone = true;
    connection.toGateway.close();
    connection.toPeer.close();
    this.closeSoon(connection, error);
  }

  // --- Within ---------------------------------------------------------------------------------------------------

  private create(kind: 'client' | 'server', state: 'connecting' | 'open'): SimConnection {
    // The id freed last comes first, so that a core that keeps an id is caught.
    const id = this.freeIds.pop() ?? this.connections.length;
    const { schedule, weather } = this.host;
    const connection: SimConnection = {
      id,
      kind,
      state,
      peer: NOBODY,
      toGateway: new Channel(schedule, this.host.random.fork(), weather, {
        deliver: (piece) => this.deliver(connection, piece),
        end: () => this.deliverEnded(connection),
      }),
      toPeer: new Channel(schedule, this.host.random.fork(), weather, {
        deliver: (piece) => {
          connection.peer.received(piece);
          this.checkDrained(connection);
        },
        end: () => {
          connection.peer.ended();
          if (connection.state === 'finishing') this.closeSoon(connection, null);
        },
      }),
      congested: false,
      tls: 'none',
      applicationProtocol: null,
      peerUid: null,
      peerGone: false,
      reading: true,
      sentWhileCongested: 0,
    };
    this.connections[id] = connection;
    return connection;
  }

  private known(id: number, call: string): SimConnection | null {
    const connection = this.connections[id];
    if (connection === undefined) {
      this.host.violation(`${call} for connection ${id}, which does not exist`);
      return null;
    }
    return connection;
  }

  private usable(id: number, call: string): SimConnection | null {
    const connection = this.known(id, call);
    if (connection === null) return null;
    if (connection.state === 'finishing' || (connection.state === 'closing' && !connection.peerGone)) {
      this.host.violation(
        `${call} for connection ${id} (${connection.peer.label}), which the core has closed`,
      );
      return null;
    }
    // A peer that has cut is not the core's fault: it hears of it with `closed`.
    return connection.state === 'closing' ? null : connection;
  }

  private deliver(connection: SimConnection, piece: Buffer): void {
    if (connection.state !== 'open') return;
    if (isHandshaking(connection)) return this.handshakeFails(connection);
    if (piece.length < HEADER_BYTES) this.host.note('a piece shorter than a header');
    const at = this.host.random.int(0, ARENA_BYTES - piece.length);
    this.memory.set(piece, at);
    this.rangeStart = at;
    this.rangeEnd = at + piece.length;
    this.event(() => this.events.received(connection.id, at, at + piece.length));
    this.rangeStart = 0;
    this.rangeEnd = 0;
    this.memory.fill(GARBAGE, at, at + piece.length);
  }

  private deliverEnded(connection: SimConnection): void {
    if (connection.state === 'open') this.event(() => this.events.ended(connection.id));
  }

  private checkDrained(connection: SimConnection): void {
    if (!connection.congested || connection.toPeer.queued > this.highWaterBytes / 4) return;
    connection.congested = false;
    if (connection.state === 'open') this.event(() => this.events.drained(connection.id));
  }

  private closeSoon(connection: SimConnection, error: string | null): void {
    if (connection.state === 'closing' || connection.state === 'closed') return;
    connection.state = 'closing';
    const delay = this.host.random.chance(0.5)
      ? 0
      : this.host.random.fraction() * this.host.weather.latencyMsMax;
    this.host.schedule.after(delay, () => this.deliverClosed(connection, error));
  }

  private deliverClosed(connection: SimConnection, error: string | null): void {
    connection.state = 'closed';
    connection.toGateway.close();
    connection.toPeer.close();
    this.connections[connection.id] = undefined;
    this.event(() => this.events.closed(connection.id, error));
    this.freeIds.push(connection.id);
  }

  private event(call: () => void): void {
    if (this.inEvent) {
      this.host.violation('the simulator called the core from within a call');
      return;
    }
    this.inEvent = true;
    try {
      call();
    } catch (error) {
      this.host.violation(`the core threw: ${error instanceof Error ? error.stack : String(error)}`);
    } finally {
      this.inEvent = false;
    }
  }
}

function isHandshaking({ tls }: SimConnection): boolean {
  return tls === 'gateway began' || tls === 'handshaking';
}
