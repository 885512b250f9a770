/** A gateway within the test's own process, over node:net: for what is not to be seen from outside. */

import { toGatewaySettings } from '../../src/config/gateway-settings.js';
import { loadConfig } from '../../src/config/load.js';
import type { ConfigInput } from '../../src/config/schema.js';
import { Verdicts } from '../../src/control/routing/verdicts.js';
import { Gateway } from '../../src/core/gateway.js';
import type { Report } from '../../src/core/io.js';
import { NodeIo } from '../../src/reactor/node-io.js';

/** What needs no work off its thread. */
const ALONE: ConfigInput = { auth_type: 'trust', server_unix_socket: 'off' };

export class GatewayInProcess {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly gateway: Gateway;
  /** What it has reported. */
  readonly reports: readonly Report[];
  readonly #io: NodeIo;
  readonly #ended: Promise<void>;
  #mayEnd: boolean[];

  private constructor(
    gateway: Gateway,
    io: NodeIo,
    at: { readonly port: number; readonly ended: Promise<void> },
    notes: { readonly reports: Report[]; readonly mayEnd: boolean[] },
  ) {
    this.gateway = gateway;
    this.port = at.port;
    this.reports = notes.reports;
    this.#io = io;
    this.#ended = at.ended;
    this.#mayEnd = notes.mayEnd;
  }

  /** Starts it, on a free port. Of the work that others do off its thread none is done but judging statements. */
  static async start(values: ConfigInput): Promise<GatewayInProcess> {
    const settings = await toGatewaySettings(await loadConfig({ values: { ...ALONE, ...values } }));
    const reports: Report[] = [];
    const unable = (): void => {
      throw new Error('there is no other thread');
    };
    const verdicts = new Verdicts((message) => reports.push({ level: 'warn', message }));
    const io: NodeIo = new NodeIo({
      deriveKey: unable,
      resolveHost: unable,
      askAuthority: (id, question) => {
        if (question.kind !== 'statement' && question.kind !== 'catalogue') unable();
        else void verdicts.answer(question).then((answer) => gateway.authorityAnswered(id, answer));
      },
      askConsole: unable,
      report: (report) => reports.push(report),
    });
    const gateway: Gateway = new Gateway(io, settings);
    const { port } = await io.listen({ index: 0, ip: '127.0.0.1', port: 0 });
    const mayEnd = [false];
    const ended = io.run(gateway, {
      woken: () => {},
      keepRunning: () => !(mayEnd[0] && gateway.idle),
    });
    return new GatewayInProcess(gateway, io, { port, ended }, { reports, mayEnd });
  }

  async stop(): Promise<void> {
    this.#io.closeListeners();
    this.gateway.shutdown();
    this.#mayEnd[0] = true;
    await this.#ended;
    this.#io.destroy();
  }
}
