/**
 * A pool's use of unix sockets that nobody has configured ({@link LocalSockets}): which connections go there, which find out
 * whether there is one, and that a socket which fails is no failure for anybody.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId, ServerAddress, SocketAddress, TcpAddress } from '../io.js';
import { parseIpAddress } from '../ip-address.js';
import type { LocalWay } from '../local-sockets.js';
import { SearchingLogin, ShortcutLogin } from '../server/identified-login.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { LoginDialogue, LoginProgress } from '../server/server-login.js';
import type { TlsMode, UserSettings } from '../settings.js';
import type { PoolLimits } from './pool-limits.js';

/** The pool, as this sees it. */
export interface ShortcutPool {
  readonly limits: PoolLimits;
  readonly identity: { readonly user: UserSettings };
}

/** Where a server connection goes. */
export interface Target {
  readonly address: ServerAddress;
  /** Non-null: its login concerns what is known of the server's socket. */
  readonly way: LocalWay | null;
}

/** Who asks for TLS gets it: sockets are never encrypted. */
const CONTENT_WITHOUT_TLS: ReadonlySet<TlsMode> = new Set(['disable', 'allow', 'prefer']);
const IPV4_LOOPBACK = 127;
const IPV6_LOOPBACK = '0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1';
/** The socket can't be used (class 08), or this user is not to come by it (class 28). All else is so by TCP, too. */
const CONCERNS_THE_WAY = /^(?:08|28)/;
const NOT_WANTED = /^28/;

export class Shortcuts {
  private readonly context: GatewayContext;
  private readonly pool: ShortcutPool;
  /** A connection that is to show whether the socket can be used; the others wait for that. */
  private trial: ServerConnection | null = null;

  constructor(context: GatewayContext, pool: ShortcutPool) {
    this.context = context;
    this.pool = pool;
  }

  /** Where a connection to this address goes; null: nowhere, before it is known whether the socket can be used. */
  target(address: ServerAddress): Target | null {
    const way = this.wayTo(address);
    const known = way?.look(this.context.io.now());
    if (way === null || known === undefined || known.kind === 'unused') return { address, way: null };
    const isSure = known.kind === 'proved' && known.confirmed;
    if (!isSure && this.trial !== null) return null;
    return { address: known.kind === 'proved' ? known.socket : address, way };
  }

  /** Null: no socket is to be looked for. */
  private wayTo(address: ServerAddress): LocalWay | null {
    const { localSocket, serverDatabase } = this.pool.limits;
    if ('socketPath' in address || localSocket === 'off' || !isLoopback(address.host)) return null;
    const { settings, localSockets } = this.context;
    if (!CONTENT_WITHOUT_TLS.has(settings.tls.serverMode)) return null;
    return localSockets.wayTo(serverDatabase, this.pool.identity.user.name, address);
  }

  /** The login of a connection to this target, made of the plain one. @param goOn has the connection take a step that had to be waited for */
  login(
    { address, way }: Target,
    connection: ConnectionId,
    plain: LoginDialogue,
    goOn: (step: () => LoginProgress) => void,
  ): LoginDialogue {
    if (way === null) return plain;
    const send = (message: Uint8Array): void => {
      this.context.io.send(connection, message, 0, message.length);
    };
    if (!('socketPath' in address)) return this.searchingLogin(address, way, { plain, send, goOn });
    return new ShortcutLogin(plain, send, address.shortcut!, () => this.confirmed(way, address));
  }

  private searchingLogin(
    address: TcpAddress,
    way: LocalWay,
    { plain, send, goOn }: SearchingParts,
  ): LoginDialogue {
    const { io, slow } = this.context;
    const { localSocket } = this.pool.limits;
    const folder = localSocket === 'auto' ? null : localSocket;
    return new SearchingLogin(plain, send, {
      look: (done) => {
        slow.ask({ kind: 'localSocket', host: address.host, port: address.port, folder }, (answer) =>
          done(answer.kind === 'localSocket' ? answer.socket : null),
        );
      },
      found: ({ path, uid }, facts) => {
        const shortcut = { insteadOf: address, ownerUid: uid, ...facts };
        way.proved({ socketPath: path, shortcut }, io.now());
      },
      nothingFound: () => way.nothingFound(io.now()),
      goOn,
    });
  }

  /** A connection to this target is being opened. */
  begun(server: ServerConnection, { way }: Target): void {
    const known = way?.look(this.context.io.now());
    if (known !== undefined && !(known.kind === 'proved' && known.confirmed)) this.trial = server;
  }

  /** It has been opened, or was lost: the others need not wait for it. */
  settled(server: ServerConnection): void {
    if (this.trial === server) this.trial = null;
  }

  /** It was lost before it was opened. True: that is no failure, and another one is to be tried at once. */
  ended(server: ServerConnection, { way }: Target, error: ErrorFields | null): boolean {
    const { address } = server;
    if (way === null) return false;
    if ('socketPath' in address) return this.socketFailed(address, way, error);
    const known = way.look(this.context.io.now());
    return known.kind === 'proved';
  }

  private socketFailed(socket: SocketAddress, way: LocalWay, error: ErrorFields | null): boolean {
    if (error === null) return true;
    if (!CONCERNS_THE_WAY.test(error.code)) return false;
    const isRefusal = NOT_WANTED.test(error.code);
    if (way.failed(socket, this.context.io.now(), isRefusal)) this.tell(way, unusable(socket, error));
    return true;
  }

  private confirmed(way: LocalWay, socket: SocketAddress): void {
    way.confirm(socket);
    const { host, port } = socket.shortcut!.insteadOf;
    this.tell(way, `the server at ${host}:${port} is reached by its unix socket ${socket.socketPath}`);
  }

  private tell(way: LocalWay, message: string): void {
    if (!way.isNews(message)) return;
    const { limits, identity } = this.pool;
    const facts = { database: limits.serverDatabase, user: identity.user.name };
    this.context.io.report({ level: 'info', message, facts });
  }
}

interface SearchingParts {
  readonly plain: LoginDialogue;
  send(message: Uint8Array): void;
  goOn(step: () => LoginProgress): void;
}

function unusable({ socketPath, shortcut }: SocketAddress, { message }: ErrorFields): string {
  const { host, port } = shortcut!.insteadOf;
  const way = 'server_unix_socket=off keeps it from being tried';
  return `the unix socket ${socketPath} is not used for the server at ${host}:${port}: ${message} (${way})`;
}

function isLoopback(host: string): boolean {
  const bytes = parseIpAddress(host);
  if (bytes === null) return false;
  return bytes.length === 4 ? bytes[0] === IPV4_LOOPBACK : bytes.join() === IPV6_LOOPBACK;
}
