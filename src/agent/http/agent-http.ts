/** The agent's HTTP interface, where its configuration wants one. */
import type { Logger } from 'pino';
import type { AgentConfig } from '../../config/agent-config.js';
import { parsePlace } from '../../config/value-types.js';
import { listenHttp } from '../../control/http/http-listener.js';
import { StartError } from '../../control/listen-error.js';
import type { Store } from '../../stores/store.js';
import { AgentError } from '../agent-error.js';
import type { NodeAgent } from '../node-agent.js';
import type { AgentSurface } from '../run-agent.js';
import { agentRoutes } from './agent-routes.js';
import { followCertificate, readCertificate } from './http-certificate.js';

/** @throws {AgentError} when the place can't be listened on */
export async function openAgentHttp(
  agent: NodeAgent,
  config: AgentConfig,
  store: Store,
  logger: Logger,
): Promise<AgentSurface> {
  const place = parsePlace(config.httpListen);
  if (place === null) return { close: async () => {} };
  const { httpTls } = config;
  const certificate = httpTls === null ? null : await readCertificate(httpTls);
  try {
    const listener = await listenHttp(place, agentRoutes({ agent, config, store, logger }), certificate);
    logger.info(
      `${certificate === null ? 'HTTP' : 'HTTPS'} on ${listener.address}: /primary, /replica, /health, /readiness, /metrics, /cluster and more`,
    );
    if (httpTls === null || certificate === null) return listener;
    const following = followCertificate(httpTls, certificate, (next) => listener.renew(next), logger);
    return {
      close: async () => {
        following.close();
        await listener.close();
      },
    };
  } catch (error) {
    if (error instanceof StartError) throw new AgentError(error.message);
    throw error;
  }
}
