/** Answers `GET /cluster` as Patroni does, with what a test says. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A member, as Patroni's documentation shows it. */
export interface Member {
  readonly name: string;
  readonly role: string;
  readonly state?: string;
  readonly host?: string;
  readonly port?: number;
  readonly timeline?: number | string;
  readonly tags?: Readonly<Record<string, unknown>>;
}

export class PatroniDouble {
  members: readonly Member[] = [];
  /** In place of an answer that makes sense. */
  answer: { readonly status: number; readonly body: string } | null = null;
  asked = 0;
  readonly #server: Server;
  readonly #isSecure: boolean;
  #port = 0;

  private constructor(tls: { readonly cert: string; readonly key: string } | null) {
    const answer: RequestListener = ({ url }, response) => {
      this.asked += 1;
      const { status, body } = this.answer ?? {
        status: url === '/cluster' ? 200 : 404,
        body: JSON.stringify({ members: this.members, scope: 'main' }),
      };
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    };
    this.#isSecure = tls !== null;
    this.#server = tls === null ? createServer(answer) : createSecureServer(tls, answer);
  }

  static async start(
    tls: { readonly cert: string; readonly key: string } | null = null,
  ): Promise<PatroniDouble> {
    const double = new PatroniDouble(tls);
    double.#server.listen(0, '127.0.0.1');
    await once(double.#server, 'listening');
    double.#port = (double.#server.address() as AddressInfo).port;
    return double;
  }

  get url(): string {
    return `${this.#isSecure ? 'https' : 'http'}://127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
