/** A connection that brings a CancelRequest: the gateway closes it, and says nothing. */
import { CancelRequestCode } from '../src/wire/frontend.js';
import type { Ground } from './ground.js';
import * as Packets from './packets.js';
import type { Peer, SimConnection } from './sim-connection.js';

/** How long the gateway may take beyond cancel_wait_timeout, in ms. */
const GRACE_MS = 5000;

export class CancelClient implements Peer {
  readonly label: string;
  private readonly ground: Ground;
  private connection!: SimConnection;
  private gone = false;

  constructor(ground: Ground, client: number) {
    this.ground = ground;
    this.label = `cancel of client ${client}`;
  }

  /** @param key the body of BackendKeyData. */
  connect(key: Buffer): void {
    const { io, schedule, plan, ledger } = this.ground;
    io.accept((connection) => {
      this.connection = connection;
      return this;
    });
    ledger.trace(() => `${this.label} is asked for`);
    this.connection.toGateway.write(Packets.untyped(Packets.int32(CancelRequestCode), key));
    const patience = plan.settings.cancelWaitTimeoutMs + GRACE_MS + 4 * plan.weather.stallMsMax;
    schedule.after(patience, () => {
      if (!this.gone && this.connection.state !== 'closing') ledger.fail(`${this.label} was never closed`);
    });
  }

  received(): void {
    const { shuttingDown, draining } = this.ground.ledger;
    if (!shuttingDown && draining === null) this.ground.ledger.fail(`${this.label} got an answer`);
  }

  ended(): void {
    this.gone = true;
    this.ground.io.peerCloses(this.connection);
  }

  cut(): void {
    this.gone = true;
  }
}
