/**
 * The images, as pods of the overlays `two-tier` and `cluster`: what is in them, and that traffic goes on when pods end.
 * `npm run test:images` does more of it, and makes the bases that this needs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { whyNoNamespaces } from '../chaos/ground/namespaces.js';
import { noCertificates } from '../harness/certificates.js';
import { deletePrimary, type Happened, killInTiers, rollGateways } from './happenings.js';
import { buildImages, hasBases } from './images.js';
import { whyNoPodman } from './podman.js';
import { PodsUnderTest } from './pods-under-test.js';
import { feltText } from './under-load.js';

function whyNoPods(): string | false {
  const lacking = whyNoPodman() || whyNoNamespaces() || noCertificates;
  if (lacking) return lacking;
  return hasBases()
    ? false
    : 'the images have no bases here yet: npm run test:images makes them, which takes minutes';
}

/** What holds whatever happens. */
function assertSafe({ felt }: Happened): void {
  assert.deepEqual(felt.lost, [], feltText(felt));
  assert.deepEqual(felt.twoPrimaries, [], feltText(felt));
}

/** Nobody is elected for a machine that is so busy that leases are renewed too late: here nothing fails by itself. */
const STORE = '  store: { kubernetes: {} }\n';
const patient = (config: string): string => config.replace(STORE, `${STORE}  lease: 20s\n`);

describe('images in pods', { skip: whyNoPods() }, () => {
  let pods: PodsUnderTest;

  before(async () => {
    const [gateway, node] = await buildImages();
    assert.match(`${gateway}`, /^sluice-gateway:.* MB$/);
    assert.match(`${node}`, /^sluice-node:.* MB$/);
    pods = await PodsUnderTest.start(patient);
    await pods.startNodes();
    await Promise.all([pods.startTier('route'), pods.startTier('pool'), pods.startTier('gateway')]);
  });
  after(() => pods?.discard());

  test("the gateway's image holds no shell and no compiler, and runs without rights", async () => {
    const look =
      "['/bin/sh','/usr/bin/sh','/bin/bash','/usr/bin/cc','/usr/bin/apt','/usr/bin/npm'].filter(fs.existsSync)";
    const facts = `JSON.stringify({ found: ${look}, user: process.getuid(), capabilities:
      /CapBnd:\\t(\\w+)/.exec(fs.readFileSync('/proc/1/status', 'utf8'))[1],
      readOnly: (() => { try { fs.writeFileSync('/opt/x', ''); return false; } catch (error) { return error.code; } })() })`;
    const printed = await pods.podman.exec('gateway-0', 'gateway', ['/opt/sluice/bin/node', '-p', facts]);
    assert.deepEqual(JSON.parse(printed), {
      ...{ found: [], user: 10001, capabilities: '0000000000000000', readOnly: 'EROFS' },
    });
  });

  test("a runtime's seccomp profile forbids io_uring: epoll is chosen, and the log says so", async () => {
    assert.match(await pods.podman.log('gateway-0', 'gateway'), /driver epoll \(uring: /);
  });

  test('two-tier: a pod of each tier is killed, and traffic goes on', async () => {
    const happened = await killInTiers(pods, [
      ['route', 'route-0'],
      ['pool', 'pool-0'],
    ]);
    assertSafe(happened);
  });

  test("cluster: a gateway's pod is replaced, and no transaction fails", async () => {
    const happened = await rollGateways(pods, 1);
    assertSafe(happened);
    const { felt, endedMs } = happened;
    assert.deepEqual(felt.brokenTransactions, [], feltText(felt));
    const others = felt.failures.filter(({ code }) => code !== '57P01');
    assert.deepEqual(others, [], 'who has to move is told so, and nobody is told anything else');
    assert.ok(
      endedMs.every((ms) => ms < pods.grace('sluice-gateway') * 1000),
      `${endedMs} ms`,
    );
  });

  test("cluster: the primary's pod is deleted, which hands over first", async () => {
    const happened = await deletePrimary(pods, false);
    assertSafe(happened);
    const { felt, endedMs } = happened;
    assert.deepEqual(felt.brokenTransactions, [], feltText(felt));
    assert.ok(
      endedMs.every((ms) => ms < pods.grace('main') * 1000),
      `${endedMs} ms`,
    );
  });
});
