/**
 * What a model server makes of the gateway's own queries, by which a session is given to its connection: most it carries
 * out, some it refuses, as PostgreSQL does when a role has been dropped meanwhile.
 */
import { REPLAY_SETTING } from '../src/core/session-state.js';
import type { Ledger } from './ledger.js';
import type { PostgresSession } from './postgres-session.js';
import { Random } from './random.js';
import { SERVER_DEFAULTS } from './session-parameters.js';
import type { Statement } from './sql.js';

/** Of the differences with settings in them. */
const REFUSED = 0.2;
/** Of the servers: they are not of PostgreSQL's making, and have no such setting as exit_on_error. */
const STRANGERS = 0.1;
const SALT = 0xa11_9;

export class SessionAlignment {
  private readonly ledger: Ledger;
  private readonly random: Random;
  private readonly isStranger: boolean;

  constructor(seed: number, processId: number, ledger: Ledger) {
    // Of its own, so that what a seed decides beside it doesn't depend on it.
    this.random = new Random((seed ^ SALT) + processId * 0x1_0000_0000);
    this.isStranger = new Random(seed ^ SALT).chance(STRANGERS);
    this.ledger = ledger;
  }

  /**
   * The statement is next. True: it has been refused instead of run.
   * @param isFollowed something lies behind it already
   */
  meets(session: PostgresSession, statement: Statement | null, isFollowed: boolean): boolean {
    if (statement?.kind === 'set' && statement.name === 'exit_on_error' && this.isStranger) {
      session.refuseNext('42704', 'unrecognized configuration parameter "exit_on_error"');
      return true;
    }
    if (statement?.kind !== 'set-config' || statement.token !== '') return false;
    if (statement.changes.some(({ name }) => name === REPLAY_SETTING)) return false;
    this.ledger.note('a server connection takes on the parameters of its client');
    const settings = statement.changes.filter(({ name }) => !SERVER_DEFAULTS.has(name));
    if (settings.length > 0) this.ledger.note('a server connection takes on what its client has set');
    // A client that has set nothing is on its way in, and would have to be let in.
    if (!settings.some(({ value }) => value !== null) || !this.random.chance(REFUSED)) return false;
    session.refuseNext('22023', 'the role is not to be had');
    this.ledger.note('a server connection refuses what its client has set');
    if (session.terminated) this.ledger.note('a server ends instead of serving a session that it refuses');
    else if (isFollowed) this.ledger.fail('a request lies behind a session that its server has refused');
    return true;
  }
}
