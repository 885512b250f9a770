/** How a cluster is, by what its store shows: for people, and with what to do next. */
import { elect } from '../cluster/election.js';
import { bytesText } from '../cluster/lsn-text.js';
import { factsIn, type GatewayRecord, gatewaysIn, NO_FACTS, type NodeFacts } from '../cluster/node-facts.js';
import type { Lsn } from '../cluster/position.js';
import type { ClusterView, Member } from '../cluster/records.js';
import { DEFAULT_TIMING } from '../cluster/settings.js';
import type { StoreView } from '../cluster/store-view.js';
import { isSpared, whyNoUpstream } from '../cluster/upstream.js';
import { leaderName, understood } from '../stores/wishes.js';

/** A standby that is further behind is worth a word. Bytes. */
const LAG_BYTES = 64 * 1024 * 1024;

/** `no primary`: nothing can be written at the moment. */
export type ClusterVerdict = 'healthy' | 'degraded' | 'no primary';

/** What is wrong, and what to do; null: nothing, it passes. */
export interface ClusterProblem {
  readonly text: string;
  readonly advice: string | null;
}

/** One node. */
export interface NodeStatus extends Omit<NodeFacts, 'streaming'> {
  readonly name: string;
  readonly role: 'primary' | 'standby' | 'none';
  /** The agent's. */
  readonly state: string;
  /** A standby's: from whom it is told to receive. */
  readonly receivesFrom: string | null;
  readonly address: string;
  readonly api: string | null;
  /** How far behind the primary. Bytes; null: not known. */
  readonly lagBytes: number | null;
  /** Commits may wait for it. */
  readonly isSynchronous: boolean;
  /** 0: never leads. */
  readonly priority: number;
}

/** The whole cluster. */
export interface ClusterStatus {
  readonly cluster: string;
  readonly store: string;
  readonly verdict: ClusterVerdict;
  readonly term: number;
  /** Who holds the lease. */
  readonly leader: string | null;
  readonly timeline: number | null;
  readonly systemIdentifier: string | null;
  readonly paused: boolean;
  /** What an acknowledged commit is worth at present. */
  readonly commits: string;
  readonly nodes: readonly NodeStatus[];
  readonly gateways: readonly GatewayRecord[];
  readonly problems: readonly ClusterProblem[];
}

/**
 * Judges a view.
 * @throws {StoreError} if it is not understood
 */
export function judgeCluster(cluster: string, store: string, stored: StoreView): ClusterStatus {
  const view = understood(stored);
  const facts = new Map(
    [...view.members.keys()].map((name) => [name, factsIn(stored.members.get(name) ?? '')]),
  );
  const leader = leaderName(view);
  const isPrimary = leader !== null && isOpen(view.members.get(leader));
  const nodes = [...view.members]
    .map(([name, member]) => nodeStatus(view, facts, name, member, leader))
    .sort(byName);
  const problems = [
    ...aboutLeader(view, leader, leader === null ? NO_FACTS : (facts.get(leader) ?? NO_FACTS)),
    ...aboutCommits(view, facts, leader),
    ...nodes.flatMap((node) => [...aboutNode(view, node), ...aboutUpstream(view, node)]),
    ...aboutMissing(view),
    ...aboutSettings(facts),
  ];
  return {
    ...{ cluster, store, leader, nodes, problems },
    verdict: !isPrimary ? 'no primary' : problems.length > 0 ? 'degraded' : 'healthy',
    term: view.term,
    timeline: view.epoch?.history.at(-1)?.timeline ?? null,
    systemIdentifier: view.epoch?.systemIdentifier ?? null,
    paused: view.control.paused,
    commits: commitsText(view, leader === null ? null : (facts.get(leader) ?? null)),
    gateways: gatewaysIn(stored.members),
  };
}

/** Whether clients may write there. */
function isOpen(member: Member | undefined): boolean {
  return member?.state === 'leading' || member?.state === 'draining';
}

function byName(a: NodeStatus, b: NodeStatus): number {
  return a.name < b.name ? -1 : 1;
}

function nodeStatus(
  { epoch }: ClusterView,
  facts: ReadonlyMap<string, NodeFacts>,
  name: string,
  { state, contact, priority, upstream }: Member,
  leader: string | null,
): NodeStatus {
  const { streaming: _, ...own } = facts.get(name) ?? NO_FACTS;
  const role = name === leader ? 'primary' : state === 'following' ? 'standby' : 'none';
  const place = contact.host.includes(':') ? `[${contact.host}]` : contact.host;
  return {
    ...own,
    ...{ name, role, state, priority, receivesFrom: upstream?.node ?? null },
    address: `${place}:${contact.port}`,
    api: contact.api,
    lagBytes: role === 'standby' && leader !== null ? lag(facts.get(leader), name, own.lsn) : null,
    isSynchronous:
      name !== leader && (epoch?.rule.quorum ?? 0) > 0 && (epoch?.rule.standbys.includes(name) ?? false),
  };
}

/** Both were looked at at different moments, so it can seem to be ahead. */
function lag(leader: NodeFacts | undefined, name: string, lsn: Lsn | null): number | null {
  const has = leader?.streaming.find((standby) => standby.name === name)?.flushed ?? lsn;
  return leader?.lsn == null || has === null ? null : Math.max(0, leader.lsn - has);
}

function commitsText({ epoch }: ClusterView, leader: NodeFacts | null): string {
  if (epoch === null) return 'there are none: the cluster has never had a primary';
  const { quorum, standbys, mayLose } = epoch.rule;
  if (mayLose) return 'asynchronous: they are on the primary alone, and a failover may lose the last ones';
  const durability = leader?.durability ?? 'durable';
  if (quorum === 0)
    return `${durability}: they are on ${epoch.rule.primary} alone, which is waited for if it is lost`;
  return `${durability}: each is on the primary and on ${quorum} of ${standbys.join(', ')}`;
}

function aboutLeader(view: ClusterView, leader: string | null, facts: NodeFacts): ClusterProblem[] {
  const problems: ClusterProblem[] = [];
  if (view.control.paused) {
    problems.push({
      text: 'the cluster is paused: nobody but the last primary is elected, and nobody is cloned or rewound',
      advice: 'When the maintenance is over: sluice resume',
    });
  }
  if (leader === null) return [...problems, aboutVacancy(view)];
  const state = view.members.get(leader)?.state;
  if (state === undefined) {
    problems.push({
      text: `${leader} holds the lease, and its agent has not registered`,
      advice: 'It is lost, or cut off: another one is elected when the lease has run out.',
    });
  } else if (!isOpen(view.members.get(leader))) {
    problems.push(state === 'opening' ? aboutOpening(leader, facts) : aboutToLead(leader, state));
  }
  const { switchover } = view.control;
  if (switchover !== null && switchover.term === view.term) {
    problems.push({ text: `${leader} hands over to ${switchover.to ?? 'a standby'}`, advice: null });
  }
  return problems;
}

function aboutToLead(leader: string, state: string): ClusterProblem {
  return { text: `${leader} is about to be the primary (${state})`, advice: null };
}

/** Clients are let in when enough standbys have what was acknowledged before. */
function aboutOpening(leader: string, { quorum, durability, streaming }: NodeFacts): ClusterProblem {
  const { text } = aboutToLead(leader, 'opening');
  const isAlone = durability === 'durable' && streaming.length < (quorum ?? 0);
  return {
    text: `${text}: standbys must have what was acknowledged before, and ${streaming.length} stream`,
    advice: isAlone ? 'Bring a standby back. With "durability: available" it would not wait for one.' : null,
  };
}

function aboutVacancy(view: ClusterView): ClusterProblem {
  // As if everybody had waited for long: what remains is what won't pass by itself.
  const election = elect(view, Number.POSITIVE_INFINITY, DEFAULT_TIMING);
  if (election.winner !== null) return { text: `nobody leads; ${election.winner} is about to`, advice: null };
  const { reason, waitingFor } = election;
  const names = waitingFor.join(', ');
  switch (reason) {
    case 'no node may begin the cluster':
      return {
        text: 'the cluster has never had a primary, and no node that is there may begin it',
        advice:
          'Give one node "postgresql: { bootstrap: initdb }" (or adopt, for data that are there), and start its agent.',
      };
    case 'the cluster is paused':
      return {
        text: `nobody leads, and in a paused cluster only ${names} may`,
        advice: 'Start its agent, or: sluice resume',
      };
    case 'too few of those that may have every commit have answered':
      return {
        text: `nobody leads: acknowledged commits may be on nodes that are not there (${names})`,
        advice: `Start one of them. If they are lost for good: sluice failover --to NODE --accept-loss`,
      };
    default:
      return { text: `nobody leads: ${reason}${names === '' ? '' : ` (${names})`}`, advice: null };
  }
}

function aboutCommits(
  view: ClusterView,
  facts: ReadonlyMap<string, NodeFacts>,
  leader: string | null,
): ClusterProblem[] {
  const rule = view.epoch?.rule;
  const own = leader === null ? undefined : facts.get(leader);
  if (rule === undefined || own === undefined || !isOpen(view.members.get(leader as string))) return [];
  const wanted = own.quorum ?? 0;
  const isWeaker = own.durability === 'durable' ? rule.mayLose || rule.quorum < wanted : rule.mayLose;
  if (own.durability !== 'asynchronous' && isWeaker) {
    return [
      {
        text: `what a commit is worth changes when enough standbys stream: ${own.durability}, quorum ${wanted}`,
        advice: 'Until then all stays as it was. Bring a standby back.',
      },
    ];
  }
  if (rule.mayLose) return [];
  if (rule.quorum === 0 && own.durability === 'available') {
    return [
      {
        text: `commits are on ${leader} alone: no standby is there to have them, too`,
        advice: 'Bring a standby back. If this primary is lost before, the cluster waits for it.',
      },
    ];
  }
  const there = own.streaming.filter(({ name }) => rule.standbys.includes(name)).length;
  if (there >= rule.quorum) return [];
  return [
    {
      text: `commits wait: ${rule.quorum} of ${rule.standbys.join(', ')} must have them, and ${there} ${there === 1 ? 'streams' : 'stream'}`,
      advice: 'Bring a standby back. With "durability: available" they would go on without one.',
    },
  ];
}

function aboutNode({ epoch, members }: ClusterView, node: NodeStatus): ClusterProblem[] {
  const { name, state, role, lagBytes, doing, problem } = node;
  const { systemIdentifier } = members.get(name) as Member;
  if (epoch !== null && systemIdentifier !== null && systemIdentifier !== epoch.systemIdentifier) {
    return [
      {
        text: `${name} has the data of another cluster (system identifier ${systemIdentifier})`,
        advice: `It is neither started nor replaced. To have it replaced by the primary's: sluice reinit ${name}`,
      },
    ];
  }
  if (role === 'none') {
    const work = doing === null ? '' : `, ${doing}`;
    const text = `${name} does not follow (${state}${work})`;
    if (problem !== null) return [{ text: `${text}: ${problem.text}`, advice: problem.advice }];
    return [{ text, advice: STATE_ADVICE[state] ?? null }];
  }
  if (problem !== null) return [{ text: `${name}: ${problem.text}`, advice: problem.advice }];
  if (lagBytes !== null && lagBytes > LAG_BYTES) {
    return [
      {
        text: `${name} is ${bytesText(lagBytes)} behind`,
        advice: 'Look at its disk, its network and its load.',
      },
    ];
  }
  return [];
}

/** A standby that doesn't receive from whom its operator wants. */
function aboutUpstream({ members, epoch, leader }: ClusterView, node: NodeStatus): ClusterProblem[] {
  const { name, receivesFrom, priority, durability, quorum } = node;
  const wanted = members.get(name)?.replicateFrom ?? null;
  const isWrong = wanted !== null && receivesFrom !== null && receivesFrom !== wanted;
  if (!isWrong || epoch === null || epoch.term !== leader?.term || wanted === epoch.primary) return [];
  const why = whyNoUpstream({ members }, epoch, wanted);
  const text = `${name} receives from ${receivesFrom}, and not from ${wanted}`;
  if (why !== null) {
    return [
      { text: `${text}, which ${why}`, advice: `Look at ${wanted}, or change replicate_from of ${name}.` },
    ];
  }
  const own = { node: name, priority, durability: durability ?? 'durable', quorum: quorum ?? 0 };
  if (isSpared(members, epoch, own)) return [];
  return [
    {
      text: `${text}, since commits need it`,
      advice: 'With one standby more they would not. One with nofailover they never need.',
    },
  ];
}

/** Nodes that commits are said to be on. While nobody leads, the vacancy says it. */
function aboutMissing({ epoch, members, leader }: ClusterView): ClusterProblem[] {
  if (epoch === null || leader === null) return [];
  return [epoch.rule.primary, ...epoch.rule.standbys]
    .filter((name) => !members.has(name))
    .map((name) => ({
      text: `${name} is not there`,
      advice: 'Start its agent, or look whether it reaches the store.',
    }));
}

/** For states in which a node stays if something is wrong. */
const STATE_ADVICE: Readonly<Record<string, string>> = {
  fencing: "Its PostgreSQL has not ended: look at its agent's log.",
  fenced: "Its PostgreSQL does not run: look at its agent's log.",
  starting: "It replays its WAL. If that takes too long, look at PostgreSQL's log.",
};

/** What must be the same everywhere. */
function aboutSettings(facts: ReadonlyMap<string, NodeFacts>): ClusterProblem[] {
  const kinds = new Map<string, string[]>();
  for (const [name, { durability, quorum }] of facts) {
    if (durability === null) continue;
    const kind = durability === 'asynchronous' ? durability : `${durability} with quorum ${quorum}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  if (kinds.size <= 1) return [];
  const text = [...kinds].map(([kind, names]) => `${names.join(', ')}: ${kind}`).join('; ');
  return [
    { text: `the nodes differ in what a commit is worth (${text})`, advice: 'Let their files say the same.' },
  ];
}
