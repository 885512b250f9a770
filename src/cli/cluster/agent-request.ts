/** What a command asks an agent by HTTP. */
import { Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { requestJson } from '../../stores/json-request.js';
import { WishRefused } from '../../stores/wishes.js';

const ANSWER_MS = 10_000;

/**
 * Lets an agent throw its node's data away.
 * @param api as the node has registered it
 * @param ca whose certificates are believed, PEM; null: the system's authorities
 * @throws {WishRefused} it doesn't, or it is not reached
 */
export async function askReinit(api: string, token: string, ca: string | null): Promise<void> {
  const secure = api.startsWith('https://');
  const { hostname, port } = new URL(secure ? api : `http://${api}`);
  const options = { host: hostname.replace(/^\[|\]$/g, ''), port, ...(ca === null ? {} : { ca }) };
  const agent = secure ? new TlsAgent() : new PlainAgent();
  const request = { path: '/reinit', headers: { authorization: `Bearer ${token}` }, limitMs: ANSWER_MS };
  const answer = await requestJson({ description: api, secure, options, agent }, request).catch(
    (error: Error) => {
      const certificate = secure ? ', and its certificate known (--ca-file)' : '';
      throw new WishRefused(
        `${api} does not answer: ${error.message}`,
        `Is the node's agent reached from here${certificate}?`,
      );
    },
  );
  if (answer.status < 300) return;
  const { error = `HTTP ${answer.status}`, hint = '' } = (answer.body ?? {}) as {
    error?: string;
    hint?: string;
  };
  throw new WishRefused(error, hint);
}
