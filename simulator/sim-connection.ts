/** A model TCP connection between the gateway and one of its peers (a client, or a server). */
import type { Channel } from './channel.js';

/** The other side of a connection, as the network sees it. */
export interface Peer {
  readonly label: string;
  /** Bytes of the gateway have arrived. */
  received(piece: Buffer): void;
  /** The gateway will send no more. */
  ended(): void;
  /** The gateway has cut the connection. */
  cut(): void;
  /** The TLS handshake that it began with {@link SimIo.peerStartsTls} is over. */
  secured?(): void;
  /** The gateway has handed over bytes for sending: called at once, long before they arrive. */
  announced?(bytes: Buffer): void;
}

export type ConnectionState =
  | 'connecting'
  | 'open'
  /** The gateway has called finish: closed once all output has gone. */
  | 'finishing'
  /** The gateway has called reset, or the peer has cut: `closed` is on its way. */
  | 'closing'
  | 'closed';

export interface SimConnection {
  readonly id: number;
  readonly kind: 'client' | 'server';
  peer: Peer;
  state: ConnectionState;
  toGateway: Channel;
  toPeer: Channel;
  /** `send` has said "congested", and `drained` has not come yet. */
  congested: boolean;
  /** Who has begun a TLS handshake, and whether it is over. */
  tls: 'none' | 'gateway began' | 'peer began' | 'handshaking' | 'secured';
  /** What the peer has asked for by ALPN. */
  applicationProtocol: string | null;
  /** The user whose process is at the other end; null: it isn't a unix socket. */
  peerUid: number | null;
  /** The peer has closed both directions: what the gateway sends is answered with a reset. */
  peerGone: boolean;
  reading: boolean;
  /** What the gateway sent since it was told that the connection is congested, in bytes. */
  sentWhileCongested: number;
}
