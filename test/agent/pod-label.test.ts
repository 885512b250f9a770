/** The role of a node as its pod's label, by an API server that is not to be relied on. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { labelOwnPod, PodLabel, type PodRole, podRole } from '../../src/agent/pod-label.js';
import { STATE_NAMES } from '../../src/cluster/states.js';
import { ROLE_LABEL } from '../../src/stores/kubernetes/cluster-leases.js';
import { until } from '../harness/until.js';
import { ApiServer, PODS } from '../stores/api-server.js';

const clock = () => performance.now();
const server = await ApiServer.start();
after(() => server.stop());
const pods = server.folder(PODS);
pods.create({ metadata: { name: 'main-0', labels: { app: 'x', [ROLE_LABEL]: 'primary' } } });

function labels(): Record<string, string> {
  const { body } = pods.get('main-0') as { body: { metadata: { labels: Record<string, string> } } };
  return body.metadata.labels;
}

function own(warnings: string[] = [], pod = 'main-0'): PodLabel {
  const place = { server: server.url, tokenFile: null, caFile: null, namespace: 'test', name: 'main' };
  return labelOwnPod(place, pod, clock, (message) => warnings.push(message));
}

test('who does not let everybody write is no primary, and who follows nobody no replica', () => {
  const roles = STATE_NAMES.flatMap((state) => (podRole(state) === null ? [] : [[state, podRole(state)]]));
  assert.deepEqual(roles, [
    ['following', 'replica'],
    ['leading', 'primary'],
  ]);
});

test('a new life takes the label of the last one away, follows its node, and leaves nothing behind', async () => {
  const warnings: string[] = [];
  const label = own(warnings);
  await until('the old label to go', () => labels()[ROLE_LABEL] === undefined);
  server.faults.push('turn away', 'doubt', 'drop', 'lose');
  label.tell('replica');
  await until('the label of a replica', () => labels()[ROLE_LABEL] === 'replica');
  await until('everything has gone wrong once', () => server.faults.length === 0);
  label.tell('primary');
  await until('the label of a primary', () => labels()[ROLE_LABEL] === 'primary');
  assert.equal(warnings.length, 2, warnings.join('\n'));
  assert.match(warnings[0] ?? '', /Services of a role may miss it: Kubernetes API at 127/);
  await label.close(60_000);
  assert.deepEqual(labels(), { app: 'x' });
});

test('one that has no right to it says so once, and ends in time', async () => {
  const warnings: string[] = [];
  const label = own(warnings, 'another');
  await until('a warning', () => warnings.length === 1);
  const asked = server.asked.length;
  await until('it is tried again', () => server.asked.length > asked + 1);
  await label.close(1);
  assert.equal(warnings.length, 1);
});

test('what was overtaken is never written', async () => {
  const written: PodRole[] = [];
  let answer: () => void = () => {};
  const write = (role: PodRole) =>
    new Promise<void>((resolve) => {
      written.push(role);
      answer = resolve;
    });
  const label = new PodLabel({ write, trouble: () => {} });
  label.tell('replica');
  label.tell(null);
  label.tell('primary');
  answer();
  await until('the newest', () => written.length === 2);
  const closed = label.close(60_000);
  answer();
  await until('the end', () => written.length === 3);
  answer();
  await closed;
  assert.deepEqual(written, [null, 'primary', null]);
});
