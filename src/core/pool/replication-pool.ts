/**
 * The pool of one replication client: a server connection of its own, which is opened with the client's startup packet and
 * closed with the client. It counts against the limits of its database and user as any other.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { Hosts } from '../hosts.js';
import type { ServerConnection } from '../server/server-connection.js';
import { REPLICATION_PIPE } from '../session/replication-pipe.js';
import type { Session } from '../session/session.js';
import { Pool } from './pool.js';
import type { PoolIdentity } from './pool-identity.js';
import type { PoolLimits } from './pool-limits.js';
import type { PoolOwner } from './pool-owner.js';
import { PoolServers } from './pool-servers.js';

/** PgBouncer's: a replication connection may lack a privilege or a rule of its own, which says nothing of others. */
const LOGIN_FAILED = 'login failed';

export class ReplicationPool extends Pool {
  protected override readonly linksAtLogin = () => true;

  override readonly servers = new UnawaitedServers();

  constructor(
    context: GatewayContext,
    owner: PoolOwner,
    hosts: Hosts,
    identity: PoolIdentity,
    limits: PoolLimits,
  ) {
    super(context, owner, hosts, identity, onlyForOne(limits));
  }

  override applyLimits(limits: PoolLimits): void {
    super.applyLimits(onlyForOne(limits));
  }

  override join(client: Session): void {
    super.join(client);
    client.bypass = REPLICATION_PIPE;
  }

  override opened(server: ServerConnection): void {
    server.becomePipe();
    super.opened(server);
  }

  override leave(client: Session): void {
    const { link } = client;
    client.link = null;
    super.leave(client);
    link?.close('replication client was closed');
  }

  /** As its client is told; the server's words are in the log's line before it. */
  override openingFailure(): string {
    return LOGIN_FAILED;
  }

  /** In PgBouncer's words, and the server's. */
  protected override tellWaiters(failure: ErrorFields): void {
    const detail = `${failure.severity}: ${failure.message}`;
    super.tellWaiters({ ...failure, message: LOGIN_FAILED, detail });
  }
}

/** Such a connection can't be waited for: its client never comes to an end. */
class UnawaitedServers extends PoolServers {
  override replace(reason: string): void {
    this.close(reason);
  }
}

/** Nothing of ours is run on it, and it is given to nobody else. */
function onlyForOne(limits: PoolLimits): PoolLimits {
  const nothing = { minSize: 0, isAlwaysWarm: false, connectQuery: null, localSocket: 'off' } as const;
  return { ...limits, mode: 'session', ...nothing };
}
