/** Asks every server of a configuration whether its pools fit. */
import { toGatewaySettings } from '../../config/gateway-settings.js';
import type { SluiceConfig } from '../../config/load.js';
import type { ServerAddress } from '../../core/io.js';
import { askServer, type ServerFacts } from './ask-server.js';
import { demandOf, type ServerDemand } from './demand.js';
import { type Judgement, judge, type Verdict } from './judge.js';
import { loginFor, type WantedLogin } from './logins.js';

/** What was found out about one server. */
export interface ServerReport {
  readonly server: string;
  readonly demand: ServerDemand;
  readonly facts: ServerFacts | null;
  readonly judgement: Judgement | null;
  /** Why the server could not be asked; null: it was. */
  readonly problem: string | null;
}

export interface CapacityReport {
  readonly servers: readonly ServerReport[];
  /** Of all: too many at one is too many. */
  readonly verdict: Verdict;
}

export interface CheckOptions {
  readonly login: WantedLogin;
  /** How many gateways have this configuration. */
  readonly gateways: number;
  readonly timeoutMs: number;
  /** Told before each server is asked. */
  readonly onServer: (server: string) => void;
}

/** Asks one server after the other. What can't be asked is told in its report. */
export async function checkCapacity(config: SluiceConfig, options: CheckOptions): Promise<CapacityReport> {
  const settings = await toGatewaySettings(config);
  const servers: ServerReport[] = [];
  for (const demand of demandOf(config, settings, options.gateways)) {
    const server = serverName(demand.address);
    options.onServer(server);
    const login = loginFor(demand.address, config, settings, options.login);
    const asked =
      login === null
        ? new Error('no user is known to log in with: name one by --user (its password: PGPASSWORD)')
        : await askServer(demand.address, login, config, options.timeoutMs).catch((error: Error) => error);
    const isError = asked instanceof Error;
    servers.push({
      server,
      demand,
      facts: isError ? null : asked,
      judgement: isError ? null : judge(demand, asked, options.gateways),
      problem: isError ? explain(asked, login?.user) : null,
    });
  }
  return { servers, verdict: worst(servers.map(({ judgement }) => judgement?.verdict ?? 'unknown')) };
}

function explain(error: Error & { code?: string }, user: string | undefined): string {
  const text = error.message || error.code || String(error);
  if (user === undefined) return text;
  if (error.code === '28P01' || error.code === '28000' || /password/i.test(text)) {
    return `${text} (as ${user}; another one by --user, its password by PGPASSWORD)`;
  }
  return text;
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('too-many')) return 'too-many';
  return verdicts.length === 0 || verdicts.includes('unknown') ? 'unknown' : 'fits';
}

function serverName(address: ServerAddress): string {
  if ('socketPath' in address) return address.socketPath;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
