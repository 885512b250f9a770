/**
 * A program for the tests of a ground: it listens where it is told (argument: `address:port`, or nothing), connects when it is told by a
 * message of its parent, and reports what it hears.
 */
import { spawn } from 'node:child_process';
import { createConnection, createServer, type Socket } from 'node:net';

/** Sends `say` on its connection of that name, which is made if there is none; ends it; or starts a program that does nothing. */
export interface Order {
  readonly connection?: string;
  readonly to?: { readonly host: string; readonly port: number };
  readonly say?: string;
  readonly end?: true;
  readonly startIdle?: true;
}

/** What came, on which connection; of others' connections: `in`. What ended is empty. */
export type Heard = readonly [connection: string, text: string];

const connections = new Map<string, Socket>();

function listenTo(name: string, socket: Socket): void {
  socket.setEncoding('utf8').setNoDelay(true);
  socket.on('data', (text) => process.send!([name, String(text)] satisfies Heard));
  socket.on('error', () => {});
  socket.on('close', () => process.send!([name, ''] satisfies Heard));
}

process.on('message', ({ connection = 'in', to, say, end, startIdle }: Order) => {
  if (startIdle) {
    // Nothing in its environment says whose it is.
    spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { env: {}, stdio: 'ignore' });
  }
  if (to) {
    const socket = createConnection(to);
    connections.set(connection, socket);
    listenTo(connection, socket);
  }
  if (say !== undefined) connections.get(connection)?.write(say);
  if (end) connections.get(connection)?.destroy();
});

const [host, port] = process.argv[2]?.split(':') ?? [];
if (host === undefined) process.send!(['ready', '']);
else {
  const server = createServer((socket) => {
    connections.set('in', socket);
    listenTo('in', socket);
  });
  server.listen(Number(port), host, () => process.send!(['ready', ''] satisfies Heard));
}
