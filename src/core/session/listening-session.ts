/** A client that may listen: what its statements and its answers have to wait for. See listening/listener.ts. */
import { readChannelCommands } from '../../sql/channel-commands.js';
import { SessionEffect } from '../../sql/session-effect.js';
import type { Verdict } from '../../wire/framing.js';
import type { CancelKey } from '../cancel-keys.js';
import type { ConnectionId } from '../io.js';
import type { Listener } from '../listening/listener.js';
import type { ServerConnection } from '../server/server-connection.js';
import { Pin } from '../session-state.js';
import { READY_IDLE } from './fixed-answers.js';
import type { ClientPool, SessionOwner } from './session-owner.js';
import { StatefulClient } from './stateful-client.js';

const NO_COMMANDS = { listens: [], unlistens: false } as const;
const OF_CHANNELS = SessionEffect.LISTEN | SessionEffect.NOTIFY | SessionEffect.CHANNELS;

export abstract class ListeningSession extends StatefulClient {
  override listener: Listener | null = null;

  abstract readonly id: number;
  abstract readonly connection: ConnectionId;
  abstract readonly waiting: boolean;
  abstract waitForAnswers(): Verdict;
  abstract readonly cancelKey: CancelKey | null;
  abstract readonly pool: ClientPool | null;
  protected abstract readonly owner: SessionOwner;

  get processId(): number {
    return this.cancelKey?.processId ?? 0;
  }

  get readsUtf8(): boolean {
    return this.parameters.values.get('client_encoding') === 'UTF8';
  }

  get isAtRest(): boolean {
    return this.phase === 'ready' && (this.link === null || this.link.exchange.isAtRest);
  }

  /**
   * Whether a statement with these effects, its text being `text[start, end)`, may be sent now; else it is judged again later
   * (BLOCK). `position` is where its message begins in `bytes`.
   */
  protected mayBeSent(
    effects: number,
    { text, start, end }: { readonly text: Uint8Array; readonly start: number; readonly end: number },
    bytes: Uint8Array,
    position: number,
    inBatch: boolean,
  ): boolean {
    const concerned = (effects & OF_CHANNELS) !== 0 || this.listener !== null;
    if (!concerned || !this.tracksState) return true;
    const commands =
      (effects & SessionEffect.LISTEN) === 0 ? NO_COMMANDS : readChannelCommands(text, start, end);
    const listens = commands.listens !== null && commands.listens.length > 0;
    // What its server connection listens to already it goes on to hear there, and what comes next in the same order.
    const isHeardThere = ((this.virtual?.pins ?? Pin.NONE) & Pin.CHANNEL) !== 0;
    if (listens && this.readsUtf8 && !isHeardThere) this.listener ??= this.owner.listen(this);
    const { listener } = this;
    if ((effects & SessionEffect.NOTIFY) !== 0) this.owner.notifies(this, this.link as ServerConnection);
    if (listener === null) return true;
    if (!listener.admits(effects, commands)) return false;
    if (!listener.wantsReplay) return true;
    const { exchange } = this.link as ServerConnection;
    // What was sent before tells whether it will run in a transaction.
    if (!inBatch && exchange.earlierBatchOpen && !exchange.batchOpen && !exchange.copyInOpen) {
      this.waitForAnswers();
      return false;
    }
    this.flushRun(bytes, position);
    return listener.replay(inBatch);
  }

  /** The same for a Bind: `text`, up to a zero byte, was parsed before. */
  admits(effects: number, text: Uint8Array, bytes: Uint8Array, position: number): boolean {
    return this.mayBeSent(effects, { text, start: 0, end: text.indexOf(0) }, bytes, position, true);
  }

  tell(message: Uint8Array): boolean {
    return this.context.io.send(this.connection, message, 0, message.length);
  }

  holdReady(): void {
    this.block();
  }

  releaseReady(): void {
    this.send(READY_IDLE);
    this.linked();
  }

  retry(): void {
    const { link } = this;
    const isPreparing = link !== null && (link.isProbing || link.exchange.isAligning);
    // What else it waits for lets it go on by itself.
    if (this.isBlocked && !this.waiting && !isPreparing) this.linked();
  }
}
