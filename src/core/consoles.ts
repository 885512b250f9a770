/** The clients of the admin console: who may come in, and which of them an answer belongs to. */
import { SqlState } from '../wire/sqlstate.js';
import { CONSOLE_DATABASES, type ConsoleAnswer, type ConsoleUser } from './console.js';
import type { GatewayContext } from './context.js';
import { Totals } from './databases.js';
import type { ConnectionId } from './io.js';
import { ConsoleSession } from './session/console-session.js';
import type { Session } from './session/session.js';

/** The user that needs no password at the unix socket, if it is the gateway's own user for the system (PgBouncer's). */
const OWNER = 'pgbouncer';

/** What PgBouncer tells a client of its console. */
const GREETING: ReadonlyMap<string, string> = new Map([
  ['server_version', '1.25.2/bouncer'],
  ['client_encoding', 'UTF8'],
  ['server_encoding', 'UTF8'],
  ['DateStyle', 'ISO'],
  ['TimeZone', 'GMT'],
  ['standard_conforming_strings', 'on'],
  ['is_superuser', 'on'],
]);

export class Consoles {
  private readonly context: GatewayContext;
  /** Its statements count as transactions of the database `pgbouncer` (as in PgBouncer). */
  readonly totals = new Totals();
  private readonly greet: (client: Session) => void;
  /** Whose statement the control plane has, by the question's number. */
  private readonly asked = new Map<number, Session>();
  private lastQuestion = 0;

  constructor(context: GatewayContext, greet: (client: Session) => void) {
    this.context = context;
    this.greet = greet;
  }

  /** True for a startup packet that asks for the console. */
  isMeant(parameters: ReadonlyMap<string, string>): boolean {
    return CONSOLE_DATABASES.has(parameters.get('database') || (parameters.get('user') ?? ''));
  }

  /** True for the gateway's own system user at the unix socket: it needs no password. */
  isOwner(connection: ConnectionId, parameters: ReadonlyMap<string, string>): boolean {
    const { ownUid } = this.context.settings;
    if (ownUid === null || parameters.get('user') !== OWNER || !this.isMeant(parameters)) return false;
    return this.context.io.peerCredentials(connection)?.uid === ownUid;
  }

  /** Lets a client that has proved its identity in, or turns it away. */
  open(client: Session, parameters: ReadonlyMap<string, string>): void {
    const { adminUsers, statsUsers, authType } = this.context.settings;
    const name = client.userName;
    const isAdmin = adminUsers.has(name) || this.isOwner(client.connection, parameters);
    if (!isAdmin && !statsUsers.has(name) && (authType as string) !== 'any') {
      return client.fail({
        severity: 'FATAL',
        code: SqlState.insufficient_privilege,
        message: 'not allowed',
        hint: 'The console is open to admin_users, and for a look to stats_users.',
      });
    }
    const user: ConsoleUser = { name, isAdmin };
    client.console = new ConsoleSession({
      send: (message) => client.send(message),
      resume: () => client.linked(),
      ask: (question) => {
        this.lastQuestion += 1;
        const id = this.lastQuestion;
        this.asked.set(id, client);
        if (question.want === 'execute') this.count();
        this.context.io.askConsole({ ...question, id, user });
      },
    });
    this.totals.clientLogins += 1;
    client.bypass = client.console;
    client.parameters = this.context.parameterSets.overlay(this.context.parameterSets.empty, GREETING);
    this.greet(client);
  }

  private count(): void {
    this.totals.queries += 1;
    this.totals.transactions += 1;
  }

  /** The control plane has answered; the client may have gone meanwhile. */
  answered(id: number, answer: ConsoleAnswer): void {
    const client = this.asked.get(id);
    this.asked.delete(id);
    if (client?.phase === 'ready') client.console?.answered(answer);
  }
}
