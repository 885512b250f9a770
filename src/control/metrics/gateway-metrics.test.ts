import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { newCounters } from '../../core/counters.js';
import { LatencyHistogram } from '../../core/latency-histogram.js';
import type { NodeSnapshot } from '../../core/route/node-snapshot.js';
import type { DatabaseTotals, PoolSnapshot, Snapshot } from '../../core/snapshot.js';
import type { ClusterStatus } from '../cluster/cluster-watch.js';
import type { Operator } from '../operator.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { LatencyTotals } from './latency-totals.js';

const SERIES = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9.e+-]+)$/;

/** The samples by name and labels; every family must be told of before, once, and every sample be the only one of its kind. */
function parse(page: string): Map<string, number> {
  const samples = new Map<string, number>();
  const families = new Set<string>();
  let family = '';
  for (const line of page.trimEnd().split('\n')) {
    const head = /^# TYPE (\S+) (gauge|counter|histogram)$/.exec(line);
    if (head !== null) {
      family = head[1]!;
      assert.ok(!families.has(family), `${family} comes twice`);
      families.add(family);
    }
    if (line.startsWith('#')) continue;
    const [, name, labels, value] = SERIES.exec(line) ?? assert.fail(`not a sample: ${line}`);
    assert.equal(name!.replace(/_(bucket|sum|count)$/, ''), family.replace(/_count$/, ''));
    const key = labels === undefined ? name! : `${name}{${labels}}`;
    assert.ok(!samples.has(key), `${key} comes twice`);
    samples.set(key, Number(value));
  }
  return samples;
}

const NODE: NodeSnapshot = {
  ...{ name: 'a', address: '10.0.0.1:5432', role: 'standby', state: '', evidenceAgeMs: 20, timeline: 3 },
  ...{ lsn: '0/3000', lagBytes: 64, lagMs: 1500, weight: 1, zone: '', inUse: 2, reads: 9, latencyMs: 0.25 },
};

const SHAPES = {
  ...{ known: 5, hits: 100, misses: 7, evictions: 0, questions: 7, deferred: 1, pathOverflows: 0 },
  catalogueVersion: 1,
};

const CLUSTER: ClusterStatus = {
  ...{ cluster: 'main', store: 'etcd at ...', ageMs: 40, trouble: null },
  news: {
    ...{ cluster: 'main', term: 4, isHeld: false, leaseMs: 5000, nodes: [] },
    epoch: { term: 4, leader: 'a', systemId: '7', timeline: 3 },
  },
};

const SOURCE = { source: 'dns db:5432', nodes: ['a', 'b'], leader: null, ageMs: 700, trouble: null };

function poolOf(database: string): PoolSnapshot {
  return {
    ...{ database, user: 'u', poolMode: 'transaction', loadBalanceHosts: 'disable' },
    ...{ clActive: 3, clWaiting: 2, clActiveCancelReq: 0, clWaitingCancelReq: 0, svActive: 1 },
    ...{
      svActiveCancel: 0,
      svBeingCanceled: 0,
      svIdle: 4,
      svUsed: 0,
      svTested: 0,
      svLogin: 1,
      maxWaitMs: 250,
    },
  };
}

function totalsOf(database: string): DatabaseTotals {
  return {
    ...{ database, serverAssignments: 1, transactions: 8, queries: 9, bytesReceived: 10, bytesSent: 11 },
    ...{ transactionUs: 2_000_000, queryUs: 1_500_000, waitUs: 12, clientParses: 0, serverParses: 0 },
    ...{ binds: 0, clientLogins: 6 },
  };
}

function latenciesOf(database: string, ...ms: number[]) {
  const histogram = new LatencyHistogram();
  for (const one of ms) histogram.add(one);
  return { database, query: histogram.counts, transaction: new Uint32Array(232), wait: new Uint32Array(232) };
}

function snapshotOf(databases: readonly string[]): Snapshot {
  return {
    ...{ clients: 50, clientsLoggingIn: 1, consoleClients: 0, servers: 6, preparedStatements: 2 },
    pools: databases.map(poolOf),
    databases: databases.map((name) => ({
      ...{ name, serverConnections: 6, clientConnections: 50, paused: true, disabled: false, isAuto: false },
    })),
    totals: [...databases, 'pgbouncer'].map(totalsOf),
    latencies: databases.map((name) => latenciesOf(name, 0.1, 3, 100_000)),
    ...{ users: [], hosts: [], peers: [], now: 0, state: 'active', shapes: null, connections: null },
    counters: { ...newCounters(), holdMs: 2500, primaryChanges: 1 },
    pins: [{ reason: 'temporary table', clients: 1, total: 4 }],
    routed: databases.map((database) => ({
      ...{ database, nodes: [NODE], loginsForgotten: 0, shapes: SHAPES },
      reads: { readsOnStandbys: 70, readsOnPrimary: 30, standbyWaitTimeouts: 2, positionQuestions: 5 },
    })),
  };
}

function metricsOf(snapshot: () => Promise<Snapshot>): GatewayMetrics {
  const gateway = {
    snapshot,
    driver: 'node',
    cluster: CLUSTER,
    nodeSources: [SOURCE],
    parserReplacements: 0,
  };
  const config = { values: { max_client_conn: 100 } };
  return new GatewayMetrics({
    isShuttingDown: false,
    gateway: { ...gateway, config },
  } as unknown as Operator);
}

describe('the page of metrics', () => {
  test('has what SHOW tells, in base units', async () => {
    const samples = parse(await metricsOf(async () => snapshotOf(['app'])).page());
    const expected = {
      sluice_ready: 1,
      sluice_clients: 50,
      sluice_clients_waiting: 2,
      sluice_clients_max: 100,
      'sluice_state{state="paused"}': 0,
      'sluice_pool_servers{database="app",user="u",state="idle"}': 4,
      'sluice_pool_oldest_wait_seconds{database="app",user="u"}': 0.25,
      'sluice_database_received_bytes_total{database="app"}': 10,
      'sluice_database_paused{database="app"}': 1,
      'sluice_query_duration_seconds_bucket{database="app",le="0.000128"}': 1,
      'sluice_query_duration_seconds_bucket{database="app",le="0.004096"}': 2,
      'sluice_query_duration_seconds_bucket{database="app",le="67.108864"}': 2,
      'sluice_query_duration_seconds_bucket{database="app",le="+Inf"}': 3,
      'sluice_query_duration_seconds_sum{database="app"}': 1.5,
      sluice_hold_seconds_total: 2.5,
      sluice_primary_changes_total: 1,
      'sluice_routed_reads_total{database="app",to="standby"}': 70,
      'sluice_node_role{database="app",node="a",role="standby"}': 1,
      'sluice_node_role{database="app",node="a",role="primary"}': 0,
      'sluice_node_lag_seconds{database="app",node="a"}': 1.5,
      'sluice_nodes_source_nodes{source="dns db:5432"}': 2,
      'sluice_cluster_term{cluster="main"}': 4,
      'sluice_cluster_led{cluster="main"}': 1,
      'sluice_cluster_store_age_seconds{cluster="main"}': 0.04,
    };
    for (const [key, value] of Object.entries(expected)) assert.equal(samples.get(key), value, key);
  });

  test('has no more series than its limits say, whoever gives databases their names', async () => {
    const names = Array.from({ length: 2000 }, (_, place) => `odd "${place}" \\ \n name`);
    const page = await metricsOf(async () => snapshotOf(names)).page();
    const samples = parse(page);
    assert.equal(samples.get('sluice_left_out{what="databases"}'), 1900);
    assert.equal(samples.get('sluice_left_out{what="pools"}'), 1500);
    assert.equal(samples.get('sluice_left_out{what="nodes"}'), 1800);
    assert.ok(samples.size < 20_000, `${samples.size} series`);
  });

  test('asks the data plane once for all who come together, and has the process where that is silent', async () => {
    let asked = 0;
    const metrics = metricsOf(async () => {
      asked += 1;
      throw new Error('the reactor has ended');
    });
    const [one, other] = await Promise.all([metrics.page(), metrics.page()]);
    assert.equal(asked, 1);
    assert.equal(one, other);
    const samples = parse(one);
    assert.equal(samples.get('sluice_ready'), 0);
    assert.equal(samples.get('sluice_clients'), undefined);
    assert.ok(samples.get('process_resident_memory_bytes')! > 0);
  });

  test('is documented: every name, and no other', async () => {
    const page = await metricsOf(async () => snapshotOf(['app'])).page();
    const names = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
    const text = readFileSync(new URL('../../../../docs/operating.md', import.meta.url), 'utf8');
    const section = text.slice(text.indexOf('\n## Metrics'), text.indexOf('\n## Console'));
    const documented = [...section.matchAll(/`((?:sluice|process)_[a-z_]+)/g)].map(([, name]) => name!);
    assert.deepEqual([...new Set(documented)].sort(), names.sort());
  });
});

describe('histograms for Prometheus', () => {
  const totals = (queries: number) => new Map([['app', { ...totalsOf('app'), queries }]]);
  const countOf = (latencies: LatencyTotals) => latencies.distribution('app', 'query', 0)?.count;

  test('go on where the counts of the core wrap', () => {
    const latencies = new LatencyTotals();
    const almost = latenciesOf('app', 1);
    almost.query[almost.query.indexOf(1)] = 2 ** 32 - 1;
    latencies.note([almost], totals(1));
    assert.equal(countOf(latencies), 2 ** 32 - 1);
    const wrapped = latenciesOf('app', 1, 1);
    latencies.note([wrapped], totals(2));
    assert.equal(countOf(latencies), 2 ** 32 + 2);
  });

  test('begin anew with a database that was forgotten meanwhile', () => {
    const latencies = new LatencyTotals();
    latencies.note([latenciesOf('app', 1, 1, 1)], totals(3));
    latencies.note([latenciesOf('app', 1)], totals(1));
    assert.equal(countOf(latencies), 1);
    latencies.note([], new Map());
    assert.equal(countOf(latencies), undefined);
  });
});
