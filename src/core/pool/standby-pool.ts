/**
 * Server connections to one standby, for the reads of the clients of another pool: that of the primary, to which they belong.
 * Its waiters need not have this standby: where it can't be reached they go to the primary.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { IN_RECOVERY } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { StandbyServers } from '../session/routed-client.js';
import type { Session } from '../session/session.js';
import { IS_PRIMARY } from './login-failure.js';
import { Pipelines } from './pipelines.js';
import { Pool } from './pool.js';

export class StandbyPool extends Pool implements StandbyServers<Session> {
  private readonly pipelines = new Pipelines(this.context, this);
  /** There may be another one for the same clients. */
  isForgotten = false;

  override get name(): string {
    return `${super.name} on ${this.identity.node?.settings.name}`;
  }

  override get isUnused(): boolean {
    return super.isUnused && this.waiters.length === 0;
  }

  /**
   * A read that is sent there may be run again elsewhere, which is sure to do no harm only as long as nothing can be written
   * there. Its clients are told nothing of recovery: theirs is a session with the primary. So they differ in nothing from it.
   */
  override serverReady(server: ServerConnection): void {
    const recovery = server.parameters.values.get(IN_RECOVERY);
    if (recovery === 'off') {
      server.place.ownWork = 'first question';
      return server.openingFailed(IS_PRIMARY);
    }
    if (recovery !== undefined) {
      server.parameters = this.context.parameterSets.with(server.parameters, IN_RECOVERY, 'off');
    }
    super.serverReady(server);
  }

  leftRecovery(): void {
    this.identity.node?.leftRecovery();
  }

  sendTogether(...read: Parameters<Pipelines['send']>): boolean {
    return this.pipelines.send(...read);
  }

  protected override sharesWithOthers = (client: Session): boolean => {
    if (!this.pipelines.hasRoom || client.routing?.joinsOthers() !== true) return false;
    this.waiters.remove(client);
    return true;
  };

  abandon(server: ServerConnection): void {
    if (server.phase === 'closed') return;
    server.place.abandonedAt = this.context.io.now();
    if (server.outstandingRequests === 0) this.finishedAlone(server);
    else server.finishing = true;
  }

  /** The standby is no longer to be used: what runs there comes to its end. */
  retire(reason: string): void {
    this.servers.replace(reason);
    this.sendElsewhere();
  }

  /** What runs there is carried out by the primary, unless its client has got a part of the answer: that one may wait. */
  giveUp(reason: string): void {
    for (const server of [...this.servers]) if (server.link?.survivesLoss === true) server.close(reason);
  }

  protected override tellWaiters(_failure: ErrorFields): void {
    this.identity.node?.failed();
    this.sendElsewhere();
  }

  /** Who waits for a server connection goes to the primary. */
  sendElsewhere(): void {
    for (const client of this.waiters.toArray()) {
      this.waiters.remove(client);
      client.routing?.sendElsewhere();
    }
  }
}
