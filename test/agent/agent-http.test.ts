/** What an agent answers by HTTP, and whom it obeys. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Hono } from 'hono';
import { pino } from 'pino';
import { openAgentHttp } from '../../src/agent/http/agent-http.js';
import { agentRoutes } from '../../src/agent/http/agent-routes.js';
import { readCertificate } from '../../src/agent/http/http-certificate.js';
import { askReinit } from '../../src/cli/cluster/agent-request.js';
import type { AgentConfig } from '../../src/config/agent-config.js';
import { CertificateAuthority, noCertificates } from '../harness/certificates.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import { FakeCluster } from './agents.js';

const TOKEN = 'a-token-of-many-letters';
let cluster: FakeCluster;
let tokenFile: string;

function routes(node: string, httpTokenFile = tokenFile): Hono {
  const config = { node, cluster: { name: 'main' }, httpTokenFile } as AgentConfig;
  const agent = cluster.agents.get(node)!;
  return agentRoutes({ agent, config, store: cluster.store, logger: pino({ level: 'silent' }) });
}

async function status(node: string, path: string): Promise<number> {
  return (await routes(node).request(path)).status;
}

function post(node: string, path: string, body?: object, token: string | null = TOKEN): Promise<Response> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const request = { method: 'POST', headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  return Promise.resolve(routes(node).request(path, request));
}

before(async () => {
  tokenFile = join(scratchFolder('token'), 'token');
  writeFileSync(tokenFile, `${TOKEN}\n`);
  cluster = await FakeCluster.start();
  for (const node of ['a', 'b']) await cluster.startAgent(node);
  await cluster.settled();
  const isListed = () => cluster.agents.get('b')!.state.view?.epoch?.rule.quorum === 1;
  await cluster.until(isListed, 'commits wait for b');
});
after(() => cluster.close());

describe("an agent's HTTP", () => {
  test('tells balancers who is what', async () => {
    for (const path of ['/', '/primary', '/read-write', '/read-only', '/health', '/readiness', '/liveness']) {
      assert.equal(await status('a', path), 200, path);
    }
    for (const path of ['/replica', '/sync']) assert.equal(await status('a', path), 503, path);
    for (const path of ['/replica', '/replica?lag=16MB', '/sync', '/read-only', '/readiness']) {
      assert.equal(await status('b', path), 200, path);
    }
    assert.equal(await status('b', '/primary'), 503);
    assert.equal(await status('b', '/nothing'), 404);
  });

  test('lives without PostgreSQL, and is not ready then', async () => {
    const agent = await cluster.startAgent('c');
    assert.equal(await status('c', '/liveness'), 200);
    await agent.until(({ name }) => name === 'following', 10_000);
    cluster.postgres('c').kill();
    await agent.until(({ name }) => name !== 'following', 10_000);
    assert.equal(await status('c', '/replica'), 503);
    await cluster.settled();
  });

  test('shows the cluster, its history and its numbers', async () => {
    const { leader, verdict, nodes } = (await (await routes('b').request('/cluster')).json()) as {
      leader: string;
      verdict: string;
      nodes: { name: string }[];
    };
    assert.equal(leader, 'a');
    assert.notEqual(verdict, 'no primary');
    assert.ok(nodes.some(({ name }) => name === 'b'));
    assert.deepEqual(await (await routes('b').request('/history')).json(), []);
    const metrics = await (await routes('a').request('/metrics')).text();
    assert.match(metrics, /^sluice_agent_primary\{cluster="main",node="a"\} 1$/m);
    assert.match(metrics, /^sluice_agent_state\{cluster="main",node="a",state="leading"\} 1$/m);
  });

  test('obeys nobody without the token', async () => {
    assert.equal((await post('a', '/pause', undefined, null)).status, 401);
    assert.equal((await post('a', '/pause', undefined, 'a-token-of-other-letters')).status, 401);
    const closed = await routes('a', '').request('/pause', { method: 'POST' });
    assert.equal(closed.status, 403);
    assert.equal(cluster.agents.get('a')!.state.view?.control.paused, false);
  });

  test('passes wishes on, and says which can not be fulfilled', async () => {
    assert.equal((await post('b', '/pause')).status, 202);
    await cluster.until(() => cluster.agents.get('b')!.state.view?.control.paused === true, 'it is paused');
    assert.equal((await post('b', '/resume')).status, 202);
    await cluster.until(() => cluster.agents.get('b')!.state.view?.control.paused === false, 'it goes on');
    assert.equal((await post('b', '/switchover', { to: 'z' })).status, 409);
    assert.equal((await post('b', '/switchover', { too: 'b' })).status, 400);
    assert.equal((await post('b', '/failover', { to: 'b', acceptLoss: true })).status, 409);
    assert.equal((await post('a', '/reinit')).status, 409);

    const wasCloned = () => cluster.postgres('b').done.filter((what) => what === 'clone').length;
    const clones = wasCloned();
    assert.equal((await post('b', '/reinit')).status, 202);
    await cluster.settled();
    assert.equal(wasCloned(), clones + 1);

    const isAccepted = async () => (await post('b', '/switchover', { to: 'b' })).status === 202;
    await until('the store to show that b can take over', isAccepted);
    await cluster.until(() => cluster.agents.get('b')!.state.name === 'leading', 'b leads');
  });
});

test('by TLS it answers nobody else, and a certificate without its key is refused', {
  skip: noCertificates,
}, async () => {
  const authority = new CertificateAuthority('Sluice tests');
  const [first, second] = [1, 2].map(() => authority.issue('a', ['IP:127.0.0.1']));
  const port = await freePort();
  const config = {
    ...{ node: 'a', cluster: { name: 'main' }, httpTokenFile: tokenFile, httpListen: `127.0.0.1:${port}` },
    httpTls: first,
  } as unknown as AgentConfig;
  const agent = cluster.agents.get('a')!;
  const surface = await openAgentHttp(agent, config, cluster.store, pino({ level: 'silent' }));
  try {
    const api = `https://127.0.0.1:${port}`;
    // That it is refused shows that it has been asked.
    await assert.rejects(
      askReinit(api, 'another-token-of-many-letters', authority.pem),
      /the token is wrong/,
    );
    await assert.rejects(askReinit(api, TOKEN, null), /unable to verify|self.signed/i);
    await assert.rejects(askReinit(`127.0.0.1:${port}`, TOKEN, null), /does not answer/);
  } finally {
    await surface.close();
  }
  const mixed = { certFile: first!.certFile, keyFile: second!.keyFile };
  await assert.rejects(readCertificate(mixed), /http_tls|can't be answered by TLS/);
});
