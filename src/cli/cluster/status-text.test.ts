import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeCluster } from '../../agent/cluster-status.js';
import { CONTROL, EPOCH } from '../../cluster/records.js';
import type { StoreView } from '../../cluster/store-view.js';
import { historyText, lostText } from './history-commands.js';
import { statusText } from './status-text.js';

const HISTORY = [{ timeline: 3, term: 4, from: 1000 }];
const RULE = {
  term: 4,
  primary: 'db1',
  standbys: ['db2', 'db3'],
  quorum: 1,
  mayLose: false,
  history: HISTORY,
};
const EPOCH_VALUE = { term: 4, primary: 'db1', systemIdentifier: '77', history: HISTORY, rule: RULE };
const FACTS = {
  ...{ version: '17.2', isRunning: true, timeline: 3, lsn: 0x2_0000_0500, replayed: 0x2_0000_0500 },
  ...{ streaming: [], doing: null, replicationKey: null, durability: 'durable', quorum: 1 },
};

function member(name: string, state: string, facts: object = {}, change: object = {}): [string, string] {
  const contact = { host: `${name}.example`, port: 5432, api: null };
  const said = { contact, holder: `${name}/1`, state, priority: 1, systemIdentifier: '77', mayBegin: false };
  return [name, JSON.stringify({ ...said, vote: null, facts: { ...FACTS, ...facts }, ...change })];
}

const STREAMING = [
  { name: 'db2', flushed: 0x2_0000_0500 },
  { name: 'db3', flushed: 0x1_ffff_0500 },
];
const FROM_DB2 = { priority: 0, replicateFrom: 'db2' };
const NODES = [
  member('db2', 'following', {}, { upstream: { term: 4, node: 'db1', streams: true } }),
  member('db1', 'leading', { streaming: STREAMING }),
  member('db3', 'following', { lsn: 1 }, { ...FROM_DB2, upstream: { term: 4, node: 'db2', streams: true } }),
];

function view(members: [string, string][], change: Partial<StoreView> = {}, control?: object): StoreView {
  const values = new Map([[EPOCH, { text: JSON.stringify(EPOCH_VALUE), version: 2 }]]);
  if (control !== undefined) values.set(CONTROL, { text: JSON.stringify(control), version: 3 });
  const gateway: [string, string] = ['gateway.gw1', '{"gateway":"gw1","holds":0}'];
  const leader = { holder: 'db1/1', term: 4 };
  return { revision: 9, term: 4, leader, values, members: new Map([...members, gateway]), ...change };
}

function shown(seen: StoreView): string {
  return statusText(judgeCluster('main', 'etcd at e:2379', seen), false);
}

function wrong(seen: StoreView): string {
  return shown(seen).split('\n\n').at(-1) as string;
}

describe("a cluster's status", () => {
  test('is a table with what a person asks first above it', () => {
    assert.equal(
      shown(view(NODES)),
      `cluster  main, led by db1, term 4, timeline 3
commits  durable: each is on the primary and on 1 of db2, db3
store    etcd at e:2379
gateways gw1

node  role     state      timeline  LSN    lag      from  sync  priority  address           PostgreSQL
db1   primary  leading    3         2/500  -        -     -     1         db1.example:5432  17.2
db2   standby  following  3         2/500  0 bytes  db1   yes   1         db2.example:5432  17.2
db3   standby  following  3         0/1    64 kB    db2   yes   never     db3.example:5432  17.2

healthy
`,
    );
  });

  test('says why a standby does not receive from whom it should', () => {
    const [db2, db1] = NODES as [[string, string], [string, string]];
    const upstream = { term: 4, node: 'db1', streams: true };
    assert.equal(
      wrong(
        view([db1, member('db2', 'starting'), member('db3', 'following', {}, { ...FROM_DB2, upstream })]),
      ),
      `degraded
  db2 does not follow (starting)
    -> It replays its WAL. If that takes too long, look at PostgreSQL's log.
  db3 receives from db1, and not from db2, which does not receive from the primary
    -> Look at db2, or change replicate_from of db3.
`,
    );
    const needed = member('db3', 'following', { quorum: 2 }, { ...FROM_DB2, upstream, priority: 1 });
    assert.match(
      wrong(view([db1, db2, needed])),
      /db3 receives from db1, and not from db2, since commits need it\n/,
    );
  });

  test('says what is wrong, and what to do', () => {
    assert.equal(
      wrong(view([member('db1', 'leading'), member('db2', 'cloning', { doing: '41 %' })])),
      `degraded
  commits wait: 1 of db2, db3 must have them, and 0 stream
    -> Bring a standby back. With "durability: available" they would go on without one.
  db2 does not follow (cloning, 41 %)
  db3 is not there
    -> Start its agent, or look whether it reaches the store.
`,
    );
    const all = { durability: 'durable', quorum: 2 };
    assert.equal(
      wrong(
        view([
          member('db1', 'leading', { ...all, streaming: STREAMING.slice(0, 1) }),
          member('db2', 'following', all),
          member('db3', 'following', all),
        ]),
      ),
      `degraded
  what a commit is worth changes when enough standbys stream: durable, quorum 2
    -> Until then all stays as it was. Bring a standby back.
`,
    );
    assert.equal(
      wrong(view([member('db2', 'standing')], { leader: null })),
      `no primary
  nobody leads: acknowledged commits may be on nodes that are not there (db1, db2, db3)
    -> Start one of them. If they are lost for good: sluice failover --to NODE --accept-loss
  db2 does not follow (standing)
`,
    );
    const problem = {
      text: 'it does not stream from db1: no route',
      advice: 'Look at the network between them.',
    };
    const stuck = { text: 'PostgreSQL did not start', advice: null };
    assert.equal(
      wrong(
        view([
          NODES[1]!,
          member('db2', 'following', { problem }),
          member('db3', 'fenced', { problem: stuck }),
        ]),
      ),
      `degraded
  db2: it does not stream from db1: no route
    -> Look at the network between them.
  db3 does not follow (fenced): PostgreSQL did not start
`,
    );
    const alone = member('db1', 'opening');
    assert.match(
      wrong(view([alone, NODES[0]!])),
      /^no primary\n {2}db1 is about to be the primary \(opening\): standbys must have .*, and 0 stream\n {4}-> Bring a standby back/,
    );
    const foreign = member('db3', 'fenced', {}, { systemIdentifier: '88' });
    const paused = { paused: true, switchover: null, failover: null };
    assert.equal(
      wrong(view([NODES[0]!, NODES[1]!, foreign], {}, paused)),
      `degraded
  the cluster is paused: nobody but the last primary is elected, and nobody is cloned or rewound
    -> When the maintenance is over: sluice resume
  db3 has the data of another cluster (system identifier 88)
    -> It is neither started nor replaced. To have it replaced by the primary's: sluice reinit db3
`,
    );
  });

  test('has colours only where they are wanted', () => {
    const status = judgeCluster('main', 'store', view(NODES));
    assert.ok(statusText(status, true).includes('\u001b[32mhealthy\u001b[0m'));
    assert.ok(!statusText(status, false).includes('\u001b'));
  });
});

test("the history's table", () => {
  const events = [
    { at: '2026-01-02T03:04:05.678Z', node: 'db1', term: 4, what: 'leads', text: 'db1 leads after db2' },
  ] as const;
  assert.equal(
    historyText(events),
    'time                      term  event\n2026-01-02T03:04:05.678Z  4     db1 leads after db2\n',
  );
  const details = { timeline: 3, from: '0/100', to: '0/200', bytes: 256, keptIn: '/data.sluice/kept-wal' };
  assert.equal(
    lostText([
      { at: '2026-01-02T03:04:05.678Z', node: 'db1', term: 4, what: 'left behind', text: '', details },
    ]),
    `time                      node  term  timeline  from   to     bytes  kept there in
2026-01-02T03:04:05.678Z  db1   4     3         0/100  0/200  256    /data.sluice/kept-wal
`,
  );
});
