/** `sluice store`: the embedded store, for the agents of one machine. */
import type { Command } from 'commander';

interface StoreFlags {
  readonly file?: string;
}

const TEXT = `
The store in which the agents of one machine agree on who leads: to try a cluster out, to develop, to test. It is one process
and one file, and lost with its machine: a cluster that must survive that uses etcd. Its socket is its owner's alone.

SIGTERM and SIGINT end it; what it holds is there again when it starts. Without it a primary gives up when its lease ends.

Example:
  sluice store /run/sluice/store.sock
      For files with "cluster: { store: { embedded: /run/sluice/store.sock } }".`;

/** Adds `store` to the command line. */
export function registerStore(program: Command): void {
  program
    .command('store')
    .summary('a store for the agents of one machine, to try out')
    .description('Runs the embedded store.')
    .argument('<SOCKET>', 'where it listens: the path of a unix socket')
    .option('--file <FILE>', 'where it keeps what it holds (default: SOCKET.journal)')
    .addHelpText('after', TEXT)
    .action(serveStore);
}

async function serveStore(socketPath: string, { file }: StoreFlags): Promise<void> {
  const [{ EmbeddedServer }, { StoreError }, { SignalQueue }, { StartError }] = await Promise.all([
    import('../../stores/embedded/embedded-server.js'),
    import('../../stores/store.js'),
    import('../../control/signal-queue.js'),
    import('../../control/listen-error.js'),
  ]);
  const signals = new SignalQueue(['SIGTERM', 'SIGINT']);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  try {
    const server = await EmbeddedServer.start({
      ...{ socketPath, journalPath: file ?? `${socketPath}.journal`, say },
      clock: () => performance.now(),
    });
    say(`the store answers at ${socketPath}`);
    await signals.next();
    await server.close();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof StoreError || code !== undefined)
      throw new StartError(`the store can't run: ${message}`);
    throw error;
  } finally {
    signals.close();
  }
}
