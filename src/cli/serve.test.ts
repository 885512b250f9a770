import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-serve-'));
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A `sluice serve` on Node's sockets, whose output can be waited for. */
class Serve {
  output = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();

  constructor(...args: string[]) {
    this.#child = spawn(process.execPath, [MAIN, 'serve', '--io', 'node', ...args]);
    children.add(this.#child);
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        for (const watcher of this.#watchers) watcher();
      });
    }
    this.ended = once(this.#child, 'close').then(([code]) => {
      children.delete(this.#child);
      for (const watcher of this.#watchers) watcher();
      return code;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when the output holds the pattern; fails when the process has ended without it. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output)) {
      if (!children.has(this.#child)) assert.match(this.output, pattern);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#watchers.delete(wake);
          resolve();
        };
        this.#watchers.add(wake);
      });
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Nothing listens on port 1: a gateway starts whether its servers are there or not. */
const FLAGS = ['--database', 'app=postgres://127.0.0.1:1/x', '--set', 'auth_type=trust'];

test('listens, says how to connect, and ends in order at SIGTERM', async () => {
  const port = await freePort();
  const serve = new Serve(...FLAGS, '--listen', `127.0.0.1:${port}`, '--log-level', 'error');
  await serve.says(
    new RegExp(`listening on 127\\.0\\.0\\.1:${port}; driver node.*psql -h 127\\.0\\.0\\.1 -p ${port} app`),
  );
  serve.signal('SIGTERM');
  assert.equal(await serve.ended, 0);
});

test('says what to do about a busy port, and ends with 1', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const serve = new Serve(...FLAGS, '--listen', `127.0.0.1:${port}`);
  assert.equal(await serve.ended, 1);
  assert.match(
    serve.output,
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another process listens there`),
  );
  assert.doesNotMatch(serve.output, /listening on|\n {4}at /);
  server.close();
});

test('listens on a unix socket with the permissions asked for', async () => {
  const serve = new Serve(
    ...FLAGS,
    '--listen',
    folder,
    '--set',
    'unix_socket_mode=0700',
    '--set',
    'listen_port=7432',
  );
  await serve.says(/listening on .*\.s\.PGSQL\.7432/);
  assert.equal(statSync(path.join(folder, '.s.PGSQL.7432')).mode & 0o777, 0o700);
  serve.signal('SIGINT');
  assert.equal(await serve.ended, 0);
  assert.throws(() => statSync(path.join(folder, '.s.PGSQL.7432')), /ENOENT/);
});

test('reloads its file at SIGHUP; one with mistakes changes nothing and tells them all', async () => {
  const port = await freePort();
  const file = path.join(folder, 'sluice.yaml');
  const base = `auth_type: trust\nlisten_port: ${port}\ndatabases: { app: postgres://127.0.0.1:1/x }\n`;
  writeFileSync(file, base);
  const serve = new Serve(file, '--log-format', 'pretty');
  await serve.says(/listening on/);
  writeFileSync(file, `${base}default_pool_size: x\npool_mode: y\n`);
  serve.signal('SIGHUP');
  await serve.says(/not reloaded; everything stays as it was/);
  assert.match(serve.output, /sluice\.yaml:4:1: default_pool_size: found "x"/);
  assert.match(serve.output, /sluice\.yaml:5:1: pool_mode: found "y"/);
  writeFileSync(file, `${base}default_pool_size: 5\nio: epoll\nlisten_addr: "::1"\n`);
  serve.signal('SIGHUP');
  await serve.says(/configuration reloaded/);
  assert.match(
    serve.output,
    /where to listen \(now \[::1\]:\d+\) has changed, which takes effect at the next start only/,
  );
  serve.signal('SIGTERM');
  assert.equal(await serve.ended, 0);
});
