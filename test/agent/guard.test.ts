/** PostgreSQL ends when its permit does, or when its agent is gone, whatever state the agent is in. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NodeWorld, TestNode } from '../harness/postgres-node.js';
import { until } from '../harness/until.js';

const AGENT = fileURLToPath(new URL('./agent-life.js', import.meta.url));

let node: TestNode;

before(async () => {
  node = await TestNode.open('n', new NodeWorld());
  await node.initialize();
  await node.close();
});

after(async () => {
  for (const agent of agents) agent.kill('SIGKILL');
  await node?.close();
});

const agents: ChildProcess[] = [];

/** @returns the agent, and when its permit ends (ms of CLOCK_MONOTONIC) */
async function liveAsPrimary(permitMs: number): Promise<{ agent: ChildProcess; until: number }> {
  const agent = spawn(process.execPath, [AGENT, JSON.stringify(node.settings), String(permitMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  agents.push(agent);
  const line = await Promise.race([
    once(createInterface({ input: agent.stdout }), 'line'),
    once(agent, 'exit').then(() => assert.fail('the agent has ended')),
  ]);
  return { agent, until: Number(line[0]) };
}

test('an agent that stands still keeps no PostgreSQL beyond its permit', async () => {
  const { agent, until: end } = await liveAsPrimary(700);
  agent.kill('SIGSTOP');
  await node.query('SELECT 1');
  await until('PostgreSQL to end', () => node.pids.length === 0);
  assert.ok(Number(process.hrtime.bigint()) / 1e6 >= end, 'it ended before its permit');
  agent.kill('SIGKILL');
  await once(agent, 'exit');
});

test('an agent that is killed takes its PostgreSQL with it', async () => {
  const { agent } = await liveAsPrimary(60_000);
  const client = await node.connect();
  assert.ok(node.pids.length > 1);
  agent.kill('SIGKILL');
  await once(agent, 'exit');
  await until('PostgreSQL to end', () => node.pids.length === 0);
  await client.end();
});

test('a new life ends what an earlier one has left, its guard too', async () => {
  const { agent } = await liveAsPrimary(60_000);
  agent.kill('SIGSTOP');
  const { postmaster } = node;
  // The lock is a stopped process's: it has to be gone before another agent may begin.
  agent.kill('SIGKILL');
  await once(agent, 'exit');
  await node.begin();
  await node.restart();
  assert.notEqual(node.postmaster, postmaster);
  await node.query('SELECT 1');
});
