/** A client that logs in by SCRAM-SHA-256-PLUS in two halves, so that something can happen between them. */
import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { endPointHash } from '../../src/reactor/tls-facts.js';
import * as Backend from '../../src/wire/backend.js';
import { buildSaslInitialResponse, buildSaslResponse } from '../../src/wire/client-messages.js';
import { ScramClient } from '../../src/wire/scram.js';
import { buildSslRequest, buildStartup } from '../../src/wire/startup.js';
import type { Target } from './client-programs.js';
import { until } from './until.js';

const MECHANISM = 'SCRAM-SHA-256-PLUS';

export class BoundLogin {
  /** The gateway's, DER. */
  readonly certificate: Buffer;
  readonly #target: Target;
  readonly #socket: tls.TLSSocket;
  readonly #scram: ScramClient;
  readonly #password: string;
  #received = Buffer.alloc(0);

  private constructor(target: Target, socket: tls.TLSSocket, password: string) {
    this.#target = target;
    this.#socket = socket;
    this.#password = password;
    this.certificate = certificateOf(socket);
    this.#scram = new ScramClient('', randomBytes(18).toString('base64'), endPointHash(this.certificate));
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
  }

  /** Connects, and goes as far as the server's offer of mechanisms. */
  static async start(target: Target, user: string, password: string): Promise<BoundLogin> {
    const login = new BoundLogin(target, await secureSocket(target), password);
    login.#socket.write(
      buildStartup(
        new Map([
          ['user', user],
          ['database', 'app'],
        ]),
      ),
    );
    const offer = await login.#authentication();
    assert.equal(offer.readInt32BE(0), Backend.AuthenticationSASL);
    assert.ok(offer.includes(MECHANISM), 'channel binding is offered');
    return login;
  }

  /** Until new connections are shown another certificate. */
  async untilCertificateIsNot(old: Buffer): Promise<void> {
    await until('another certificate', async () => {
      const socket = await secureSocket(this.#target);
      const isOther = !certificateOf(socket).equals(old);
      socket.destroy();
      return isOther;
    });
  }

  /** The rest of the login, to its good end. */
  async finish(): Promise<void> {
    this.#socket.write(buildSaslInitialResponse(MECHANISM, this.#scram.first()));
    const first = this.#scram.receiveFirst((await this.#authentication()).subarray(4));
    assert.equal(first.kind, 'key');
    if (first.kind !== 'key') return;
    const salted = pbkdf2Sync(this.#password, first.salt, first.iterations, 32, 'sha256');
    this.#socket.write(buildSaslResponse(this.#scram.final(salted)));
    assert.ok(this.#scram.verify((await this.#authentication()).subarray(4)));
    assert.equal((await this.#authentication()).readInt32BE(0), Backend.AuthenticationOk);
    this.#socket.destroy();
  }

  /** The body of the next message, which is about authentication. */
  async #authentication(): Promise<Buffer> {
    const isWhole = () => this.#received.length >= 5 && this.#received.length > this.#received.readInt32BE(1);
    await until('a message', isWhole);
    const end = 1 + this.#received.readInt32BE(1);
    const [type, body] = [this.#received[0], this.#received.subarray(5, end)];
    this.#received = this.#received.subarray(end);
    assert.equal(type, Backend.Authentication, body.toString('latin1'));
    return body;
  }
}

function certificateOf(socket: tls.TLSSocket): Buffer {
  return socket.getPeerCertificate().raw;
}

async function secureSocket({ host, port }: Target): Promise<tls.TLSSocket> {
  const raw = net.connect(port, host);
  await once(raw, 'connect');
  raw.write(buildSslRequest());
  const [answer] = (await once(raw, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'S');
  const socket = tls.connect({ socket: raw, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
}
