/** TLS of each driver, against node:tls at the other end: big data, cut and garbled handshakes, verification, reload. */
import assert from 'node:assert/strict';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { CertificateAuthority, noCertificates, pemOf } from '../../test/harness/certificates.js';
import { NO_TLS, type TlsConfiguration, type TlsMaterial } from '../config/tls.js';
import { chooseDriver } from './choose-driver.js';
import type { DriverName, Listener } from './driver.js';
import { type Behaviour, Fixture, pattern } from './driver-fixture.js';
import { loadAddon } from './load-addon.js';

const ANY_PORT: Listener = { index: 0, ip: '127.0.0.1', port: 0 };

const PLAIN: TlsMaterial = {
  certificate: null,
  key: null,
  authorities: null,
  verify: 'none',
  verifyHost: false,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  versionOptions: 0,
  ciphers: 'DEFAULT',
  cipherSuites: null,
  curves: null,
  finiteFieldDh: true,
};

let ca: CertificateAuthority;
let otherCa: CertificateAuthority;
let localhost: { cert: string; key: string };

function serving(changes: Partial<TlsMaterial> = {}): TlsConfiguration {
  return { client: { ...PLAIN, certificate: localhost.cert, key: localhost.key, ...changes }, server: null };
}

async function connectTls(port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.pem, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends and reads at the same time; resolves when `length` bytes have come back, the same. */
async function echoes(socket: tls.TLSSocket, length: number): Promise<void> {
  const all = pattern(length, 0);
  const chunks: Buffer[] = [];
  let got = 0;
  const answer = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      got += chunk.length;
      if (got >= length) resolve();
    });
    socket.on('close', () => reject(new Error(`closed after ${got} of ${length} bytes`)));
  });
  for (let sent = 0; sent < length; ) {
    const next = Math.min(length, sent + 1 + Math.floor(Math.random() ** 4 * 70_000));
    if (!socket.write(all.subarray(sent, next))) await Promise.race([once(socket, 'drain'), answer]);
    sent = next;
  }
  await answer;
  socket.removeAllListeners('close');
  assert.ok(Buffer.concat(chunks).equals(all), 'the same bytes in the same order');
}

/** A server that speaks TLS and echoes. */
async function tlsEcho(options: tls.TlsOptions): Promise<tls.Server> {
  const server = tls.createServer({ ...localhost, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

/** Resolves when it is closed, whatever the reason. */
function closing(socket: net.Socket): Promise<void> {
  socket.on('error', () => {}).resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

/** A TCP relay that cuts the stream in pieces of a few bytes. */
async function choppingRelay(port: number): Promise<net.Server> {
  const relay = net.createServer({ noDelay: true }, (near) => {
    const far = net.connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => to.destroy()).on('end', () => to.end());
      from.on('data', async (chunk: Buffer) => {
        from.pause();
        for (let at = 0; at < chunk.length; ) {
          const next = at + 1 + Math.floor(Math.random() * 7);
          to.write(chunk.subarray(at, next));
          await new Promise(setImmediate);
          at = next;
        }
        from.resume();
      });
    }
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  return relay;
}

function conformance(driver: DriverName): void {
  const start = (behaviour: Behaviour, configuration: TlsConfiguration): Promise<Fixture> =>
    new Fixture(driver, behaviour, ANY_PORT, { tls: configuration }).start();

  test('echoes big data, and says what was agreed on', async () => {
    const fixture = await start({ kind: 'echo' }, serving());
    const sockets = await Promise.all(Array.from({ length: 6 }, () => connectTls(fixture.port)));
    await Promise.all(sockets.map((socket, i) => echoes(socket, 1 + i * 1_500_000)));
    for (const socket of sockets) socket.end();
    const stats = await fixture.until('closing', ({ open }) => open === 0);
    assert.deepEqual([stats.violations, stats.closeReasons, stats.handshakes.length], [[], [], 6]);
    const [facts] = stats.handshakes;
    assert.equal(facts!.description, 'TLSv1.3/TLS_AES_256_GCM_SHA384');
    assert.equal(facts!.applicationProtocol, null);
    assert.equal(facts!.peer, null);
    const der = new X509Certificate(localhost.cert).raw;
    assert.deepEqual(Buffer.from(facts!.serverEndPoint!), createHash('sha256').update(der).digest());
    await fixture.stop();
  });

  test('forwards between TLS clients and a TLS server, in pieces of any size', async () => {
    const server = await tlsEcho({});
    const configuration = { ...serving(), server: PLAIN };
    const fixture = await start(
      { kind: 'forward', to: { host: '127.0.0.1', port: portOf(server) } },
      configuration,
    );
    const sockets = await Promise.all(Array.from({ length: 4 }, () => connectTls(fixture.port)));
    await Promise.all(sockets.map((socket, i) => echoes(socket, 500_000 * (i + 1))));
    for (const socket of sockets) socket.destroy();
    const relay = await choppingRelay(fixture.port);
    const chopped = await connectTls(portOf(relay));
    await echoes(chopped, 30_000);
    chopped.end();
    const { violations, closeReasons, handshakes } = await fixture.until('closing', ({ open }) => open === 0);
    assert.deepEqual([violations, closeReasons, handshakes.length], [[], [], 10]);
    await fixture.stop();
    relay.close();
    server.close();
  });

  test('takes the end of TLS for the end, and ends it itself', async () => {
    const fixture = await start({ kind: 'flood', bytes: 3_000_000 }, serving());
    const socket = await connectTls(fixture.port);
    let got = 0;
    for await (const chunk of socket) got += chunk.length;
    assert.equal(got, 3_000_000);
    await fixture.until('closing', ({ open }) => open === 0);
    await fixture.stop();
  });

  test('survives garbage, cut handshakes, silence and resets at any moment', async () => {
    const fixture = await start({ kind: 'echo' }, serving());
    const silent = net.connect(fixture.port, '127.0.0.1');
    await once(silent, 'connect');
    const garbage = [randomBytes(600), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(20_000, 0x16)];
    for (const bytes of garbage) {
      const socket = net.connect(fixture.port, '127.0.0.1');
      socket.write(bytes);
      await closing(socket);
    }
    const hello = await clientHello();
    for (let cut = 0; cut <= hello.length; cut += 37) {
      const socket = net.connect(fixture.port, '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      socket.write(hello.subarray(0, cut));
      if (cut % 2 === 0) await sleep(Math.random() * 3);
      if (cut % 3 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const socket = tls.connect({ host: '127.0.0.1', port: fixture.port, rejectUnauthorized: false });
        socket.on('error', () => {});
        if (i % 2 === 0) await once(socket, 'secureConnect').catch(() => {});
        if (i % 3 === 0) socket.write(pattern(100_000, 0));
        await sleep(Math.random() * 5);
        socket.destroy();
      }),
    );
    await echoes(await connectTls(fixture.port), 100_000);
    const { open } = await fixture.until('the others to go', (stats) => stats.open === 2);
    assert.equal(open, 2, 'the silent one and the last one');
    silent.destroy();
    const { violations, closeReasons } = await fixture.stats();
    assert.deepEqual(violations, []);
    const wrong = closeReasons.filter((reason) => reason.startsWith('TLS handshake error: '));
    assert.ok(wrong.length >= garbage.length, JSON.stringify(closeReasons));
    await fixture.stop();
  });

  test("verifies clients' certificates, and tells whose they are", async () => {
    const fixture = await start({ kind: 'echo' }, serving({ verify: 'required', authorities: ca.pem }));
    const good = pemOf(ca.issue('alice', ['DNS:alice.test', 'IP:10.0.0.1']));
    const bad = pemOf(otherCa.issue('mallory'));
    await echoes(await connectTls(fixture.port, good), 10_000);
    const { handshakes } = await fixture.stats();
    assert.deepEqual(handshakes[0]!.peer, {
      commonName: 'alice',
      alternativeNames: ['alice.test', '10.0.0.1'],
    });
    for (const credentials of [bad, {}]) {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: fixture.port,
        ca: ca.pem,
        servername: 'localhost',
        ...credentials,
      });
      socket.write('hello');
      await closing(socket);
    }
    const { closeReasons } = await fixture.until('refusals', (stats) => stats.closeReasons.length >= 2);
    assert.match(closeReasons[0]!, /^TLS handshake error: certificate verify failed/);
    assert.match(closeReasons[1]!, /^TLS handshake error: .*peer did not return a certificate/);
    await fixture.stop();
  });

  test('verifies servers and their names', async () => {
    const { cert, key } = pemOf(ca.issue('elsewhere.test', ['DNS:elsewhere.test']));
    const wrongName = await tlsEcho({ cert, key });
    const rightName = await tlsEcho({});
    const verify = { ...PLAIN, verify: 'required', authorities: ca.pem } as const;
    const cases: [net.Server, Partial<TlsMaterial>, RegExp | null][] = [
      [rightName, { verifyHost: true }, null],
      [wrongName, {}, null],
      [
        wrongName,
        { verifyHost: true },
        /server certificate for "elsewhere.test" does not match host name "127.0.0.1"/,
      ],
      [rightName, { authorities: otherCa.pem }, /^TLS handshake error: certificate verify failed/],
    ];
    for (const [server, changes, expected] of cases) {
      const to = { host: '127.0.0.1', port: portOf(server) };
      const configuration = { ...NO_TLS, server: { ...verify, ...changes } };
      const fixture = await start({ kind: 'forward', to }, configuration);
      const socket = net.connect(fixture.port, '127.0.0.1');
      socket.write('hello');
      if (expected === null) {
        let answer = '';
        for await (const chunk of socket) {
          answer += chunk;
          if (answer.length >= 5) break;
        }
        assert.equal(answer, 'hello');
      } else {
        const { closeReasons } = await fixture.until('a refusal', (stats) => stats.closeReasons.length > 0);
        assert.match(closeReasons[0]!, expected);
      }
      await fixture.stop();
    }
    rightName.close();
    wrongName.close();
  });

  test('speaks the versions and ciphers that are allowed', async () => {
    const fixture = await start(
      { kind: 'echo' },
      serving({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
    );
    await echoes(await connectTls(fixture.port), 1000);
    const { handshakes } = await fixture.stats();
    assert.equal(handshakes[0]!.description, 'TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256');
    await assert.rejects(connectTls(fixture.port, { minVersion: 'TLSv1.3' }));
    await fixture.stop();
  });

  test('agrees on the application protocol, and on no other', async () => {
    const fixture = await start({ kind: 'echo' }, serving());
    const socket = await connectTls(fixture.port, { ALPNProtocols: ['postgresql'] });
    assert.equal(socket.alpnProtocol, 'postgresql');
    const { handshakes } = await fixture.until('the handshake', (stats) => stats.handshakes.length === 1);
    assert.equal(handshakes[0]!.applicationProtocol, 'postgresql');
    await assert.rejects(connectTls(fixture.port, { ALPNProtocols: ['h2'] }));
    socket.destroy();
    await fixture.stop();
  });

  test('replaces certificates under open connections', async () => {
    const fixture = await start({ kind: 'echo' }, serving());
    const old = await connectTls(fixture.port);
    const fresh = pemOf(otherCa.issue('localhost', ['DNS:localhost']));
    fixture.configureTls(serving({ certificate: fresh.cert, key: fresh.key }));
    await fixture.stats();
    await assert.rejects(connectTls(fixture.port), /self.signed|unable to verify/);
    const renewed = await connectTls(fixture.port, { ca: otherCa.pem });
    await Promise.all([echoes(old, 200_000), echoes(renewed, 200_000)]);
    const hash = (pem: string) => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
    const { handshakes, violations } = await fixture.stats();
    const seen = handshakes.map((facts) => Buffer.from(facts.serverEndPoint!).toString('hex'));
    assert.deepEqual([seen[0], seen.at(-1)], [hash(localhost.cert), hash(fresh.cert)]);
    assert.deepEqual(violations, []);
    await fixture.stop();
  });

  test('stops reading from the source of a stalled TLS reader, and goes on with it', async () => {
    const total = 96 << 20;
    const piece = pattern(1 << 20, 0);
    const source = tls.createServer(localhost, async (socket) => {
      socket.on('error', () => {});
      for (let sent = 0; sent < total; sent += piece.length) {
        if (!socket.write(piece)) await once(socket, 'drain');
      }
      socket.end();
    });
    await once(source.listen(0, '127.0.0.1'), 'listening');
    const to = { host: '127.0.0.1', port: portOf(source) };
    const fixture = await start({ kind: 'forward', to }, { ...serving(), server: PLAIN });
    const reader = await connectTls(fixture.port);
    reader.pause();
    let last = -1;
    const stalled = await fixture.until('stalling', ({ receivedBytes }) => {
      const isSteady = receivedBytes > 0 && receivedBytes === last;
      last = receivedBytes;
      return isSteady;
    });
    assert.ok(stalled.receivedBytes < 24 << 20, `${stalled.receivedBytes} bytes taken from the source`);
    let got = 0;
    for await (const chunk of reader) got += chunk.length;
    assert.equal(got, total);
    await fixture.stop();
    source.close();
  });
}

/** What a client of TLS says first. */
async function clientHello(): Promise<Buffer> {
  const server = net.createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = tls.connect({ host: '127.0.0.1', port: portOf(server) }).on('error', () => {});
  const [socket] = await accepted;
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

function impossible(driver: DriverName): string | false {
  try {
    chooseDriver(driver, loadAddon(), true);
    return noCertificates;
  } catch (error) {
    return (error as Error).message;
  }
}

for (const driver of ['uring', 'epoll', 'node'] as const) {
  describe(`TLS of driver ${driver}`, { skip: impossible(driver) }, () => {
    before(() => {
      ca ??= new CertificateAuthority('test CA');
      otherCa ??= new CertificateAuthority('other CA');
      localhost ??= pemOf(ca.issue('localhost', ['DNS:localhost', 'IP:127.0.0.1']));
    });
    conformance(driver);
  });
}
