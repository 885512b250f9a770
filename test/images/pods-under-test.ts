/**
 * The pods of the overlays on one machine, with the doubles of what Kubernetes has around them: each pod in a network
 * namespace of its own, an API server, Services.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Place } from '../chaos/ground/ground.js';
import { NamespaceGround } from '../chaos/ground/namespaces.js';
import { SET_SQL } from '../chaos/load/workload.js';
import { CertificateAuthority, pemOf } from '../harness/certificates.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import type { ApiOrder } from './double/api-main.js';
import { type Account, claimPath, preparePod, type Surroundings } from './double/kubelet.js';
import { Service } from './double/service.js';
import { type Workload, workloadsOf } from './manifests.js';
import { Podman } from './podman.js';
import { SmallVolume } from './small-volume.js';

const API_PROGRAM = fileURLToPath(new URL('double/api-main.js', import.meta.url));
const NAMESPACE = 'test';
const NODES = ['main-0', 'main-1', 'main-2'] as const;
const SETTLE_LIMIT_MS = 120_000;
/** Where a gateway's pod can be; one more of a tier than its replicas, for a rolling update. */
export const SLOTS = {
  gateway: ['gateway-0', 'gateway-1', 'gateway-2', 'gateway-3'],
  pool: ['pool-0', 'pool-1'],
  route: ['route-0', 'route-1'],
} as const;
export type Tier = keyof typeof SLOTS;

/** Who writes, and with which password. */
export const APPLICATION = { user: 'app', password: randomBytes(12).toString('hex'), database: 'postgres' };

const AUTH_PASSWORD = randomBytes(12).toString('hex');
const APPLICATION_SQL = `BEGIN;
  CREATE ROLE ${APPLICATION.user} LOGIN PASSWORD '${APPLICATION.password}';
  ${SET_SQL};
  GRANT SELECT, INSERT ON chaos_set TO ${APPLICATION.user};
  COMMIT;`;

/** One world of pods. `discard` leaves nothing behind. */
export class PodsUnderTest {
  readonly nodes: readonly string[] = NODES;
  readonly podman: Podman;
  readonly #ground: NamespaceGround;
  readonly #around: Surroundings;
  readonly #services = new Map<Tier, Service>();
  readonly #volumes = new Map<string, SmallVolume>();
  readonly #workloads = new Map<string, Workload>();
  readonly #apps: Place;

  private constructor(
    ground: NamespaceGround,
    around: Surroundings,
    podman: Podman,
    change: (config: string) => string,
  ) {
    this.#ground = ground;
    this.#around = around;
    this.podman = podman;
    this.#apps = ground.place('app');
    for (const overlay of ['two-tier', 'cluster']) {
      for (const [name, workload] of workloadsOf(overlay, change)) this.#workloads.set(name, workload);
    }
  }

  /**
   * The network, the API server and the Services; no pods yet.
   * @param change what is different in configurations of the overlays
   */
  static async start(change = (config: string) => config): Promise<PodsUnderTest> {
    const slots = Object.values(SLOTS).flat();
    const ground = await NamespaceGround.create([
      'api',
      'app',
      'sluice',
      'pools',
      'routes',
      ...NODES,
      ...slots,
    ]);
    const folder = scratchFolder('pods');
    chmodSync(folder, 0o755);
    const api = ground.place('api');
    const account = await startApi(api);
    const around = { folder, namespace: NAMESPACE, account, secrets: SECRETS, hosts: hostsOf(ground) };
    const podman = new Podman(folder, `sluice-test-${process.pid}-`);
    const pods = new PodsUnderTest(ground, around, podman, change);
    pods.#startService('gateway', 'sluice', 5432);
    pods.#startService('pool', 'pools', 5432);
    pods.#startService('route', 'routes', 5432);
    return pods;
  }

  /** Where clients are. */
  get apps(): Place {
    return this.#apps;
  }

  /** Where clients reach a tier. */
  target(tier: Tier): { host: string; port: number } {
    return { host: this.#ground.place(SERVICE_PLACES[tier]).address, port: 5432 };
  }

  service(tier: Tier): Service {
    return this.#services.get(tier)!;
  }

  /**
   * The database nodes, and in them what the gateways and the application need.
   * @param onSmallVolumes with data on volumes that can be filled
   */
  async startNodes(onSmallVolumes = false): Promise<void> {
    if (onSmallVolumes) {
      const mount = (node: string) => SmallVolume.mount(claimPath(this.#around, node, 'data'));
      for (const node of NODES) this.#volumes.set(node, await mount(node));
    }
    await Promise.all(NODES.map((node) => this.startNode(node)));
    await until('the users to be there', () => this.#makeUsers(), SETTLE_LIMIT_MS);
    const streaming = async () => {
      const states = await Promise.all(NODES.map((node) => this.streams(node)));
      return states.filter(Boolean).length === NODES.length - 1;
    };
    await until('the standbys to stream', streaming, SETTLE_LIMIT_MS);
  }

  /** The application's; that of gateways is the agent's to make. False: not yet, or the primary has changed meanwhile. */
  async #makeUsers(): Promise<boolean> {
    const leader = await this.leader();
    const known = (name: string) => `SELECT count(*) FROM pg_roles WHERE rolname = '${name}'`;
    try {
      if ((await this.query(leader, known('sluice_auth'))) === '0') return false;
      if ((await this.query(leader, known(APPLICATION.user))) === '0')
        await this.query(leader, APPLICATION_SQL);
      return true;
    } catch {
      return false;
    }
  }

  async startNode(node: string): Promise<void> {
    const pod = preparePod(node, this.#workload('main'), this.#around);
    await this.podman.play(pod, this.#ground.place(node).space);
  }

  /** Resolves with the node that is the primary. */
  leader(): Promise<string> {
    return until('a primary', () => this.#findLeader(), SETTLE_LIMIT_MS);
  }

  async #findLeader(): Promise<string | null> {
    for (const node of NODES) {
      const answer = await this.query(node, 'SELECT pg_is_in_recovery()').catch(() => '');
      if (answer === 'f') return node;
    }
    return null;
  }

  /** Whether a node streams from the primary. */
  async streams(node: string): Promise<boolean> {
    const sql = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    return (await this.query(node, sql).catch(() => '0')) === '1';
  }

  /** What a node's data are on, where that can be filled. */
  volume(node: string): SmallVolume {
    return this.#volumes.get(node)!;
  }

  /** Runs SQL in a node's own pod, as its superuser; returns the rows as psql prints them without decoration. */
  async query(node: string, sql: string): Promise<string> {
    const command = [
      'psql',
      '-h',
      '/run/sluice',
      '-U',
      'postgres',
      '-d',
      'postgres',
      '-XAtq',
      '-v',
      'ON_ERROR_STOP=1',
    ];
    return (await this.podman.exec(node, 'node', command, sql)).trim();
  }

  /** Starts one gateway pod of a tier; it serves when its Service says that it is ready. */
  async startGateway(tier: Tier, slot: string): Promise<void> {
    const pod = preparePod(slot, this.#workload(WORKLOADS[tier]), this.#around);
    await this.podman.play(pod, this.#ground.place(slot).space);
    this.service(tier).add({ name: slot, address: this.#ground.place(slot).address });
  }

  /** As many as there are slots, but for the last one of the tier that is for updates. */
  async startTier(tier: Tier): Promise<void> {
    const slots = SLOTS[tier].slice(0, tier === 'gateway' ? -1 : undefined);
    await Promise.all(slots.map((slot) => this.startGateway(tier, slot)));
    await this.service(tier).ready();
  }

  async stopTier(tier: Tier): Promise<void> {
    for (const slot of SLOTS[tier]) this.service(tier).remove(slot);
    await Promise.all(SLOTS[tier].map((slot) => this.podman.remove(slot).catch(() => {})));
  }

  /** As `kubectl delete pod` does it: nothing new goes there, and SIGTERM. Returns how long it took to end, in ms. */
  async deleteGateway(tier: Tier, slot: string): Promise<number> {
    this.service(tier).remove(slot);
    const took = await this.podman.stop(slot, this.grace(WORKLOADS[tier]));
    await this.podman.remove(slot);
    return took;
  }

  /** The grace period of a workload's pods, in seconds. */
  grace(workload: string): number {
    return this.#workload(workload).pod.terminationGracePeriodSeconds;
  }

  async discard(): Promise<void> {
    for (const service of this.#services.values()) service.stop();
    await this.podman.removeAll();
    for (const volume of this.#volumes.values()) await volume.discard();
    await this.#ground.discard();
  }

  #workload(name: string): Workload {
    const workload = this.#workloads.get(name);
    if (workload === undefined) throw new Error(`no overlay has a workload ${name}`);
    return workload;
  }

  #startService(tier: Tier, place: string, port: number): void {
    const { periodSeconds } = this.#workload(WORKLOADS[tier]).pod.containers[0].readinessProbe;
    const order = { port, targetPort: 6432, healthPort: 8080, periodMs: periodSeconds * 1000 };
    this.#services.set(tier, Service.start(this.#ground.place(place), order));
  }
}

const WORKLOADS: Readonly<Record<Tier, string>> = {
  gateway: 'sluice-gateway',
  pool: 'sluice-gateway-pool',
  route: 'sluice-gateway-route',
};
const SERVICE_PLACES: Readonly<Record<Tier, string>> = { gateway: 'sluice', pool: 'pools', route: 'routes' };
const SECRETS = {
  'sluice-users': { 'users.txt': `"sluice_auth" "${AUTH_PASSWORD}"\n` },
  'sluice-nodes': {
    'superuser-password': randomBytes(12).toString('hex'),
    'replication-password': randomBytes(12).toString('hex'),
    'http-token': randomBytes(24).toString('hex'),
    'auth-password': AUTH_PASSWORD,
  },
};

/** What a cluster's DNS would answer; the databases elsewhere that the overlays name are two of the nodes. */
function hostsOf(ground: NamespaceGround): Map<string, string> {
  const address = (place: string) => ground.place(place).address;
  return new Map([
    ...NODES.map((node): [string, string] => [`${node}.sluice-nodes.${NAMESPACE}.svc`, address(node)]),
    ['sluice-route', address('routes')],
    ['db1.example.org', address('main-0')],
    ['db2.example.org', address('main-1')],
  ]);
}

async function startApi(place: Place): Promise<Account> {
  const authority = new CertificateAuthority('API server');
  const tls = pemOf(authority.issue('kubernetes', [`IP:${place.address}`]));
  const order: ApiOrder = {
    address: place.address,
    port: 443,
    token: randomBytes(24).toString('hex'),
    tls,
    pods: NODES,
  };
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
  const child = place.start({ program: process.execPath, args: [API_PROGRAM], stdio: [...stdio] });
  let isReady = false;
  child.once('message', () => {
    isReady = true;
  });
  child.send(order);
  await until('the API server', () => isReady);
  return { address: order.address, port: order.port, token: order.token, ca: authority.pem };
}
