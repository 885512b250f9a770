/**
 * Deliberate defects: each breaks one rule on which the promises rest, and the simulation has to notice. They stand around
 * the product, which has no switch for them.
 */
import type { Effect, Input } from '../../src/cluster/inputs.js';
import type { NodeState } from '../../src/cluster/node-state.js';
import type { Position } from '../../src/cluster/position.js';
import type { ClusterView, Member, Rule } from '../../src/cluster/records.js';
import type { Defect, Machine } from './defect.js';

/** Changes what each machine is told. */
function told(change: (input: Input, state: NodeState) => Input): Pick<Defect, 'machine'> {
  const wrap = ({ begin, step }: Machine): Machine => ({
    begin,
    step: (state, input) => step(state, change(input, state)),
  });
  return { machine: wrap };
}

function seen(change: (view: ClusterView, state: NodeState) => ClusterView): Pick<Defect, 'machine'> {
  return told((input, state) => {
    if (input.kind !== 'view' || input.view === null) return input;
    return { ...input, view: change(input.view, state) };
  });
}

function withRule(view: ClusterView, change: (rule: Rule) => Rule): ClusterView {
  return view.epoch === null ? view : { ...view, epoch: { ...view.epoch, rule: change(view.epoch.rule) } };
}

function withMembers(view: ClusterView, change: (member: Member, name: string) => Member): ClusterView {
  const members = [...view.members].map(([name, member]) => [name, change(member, name)] as const);
  return { ...view, members: new Map(members) };
}

const hasNothing = ({ history }: Position): Position => ({ history: history.slice(0, 1), lsn: 0 });

/** A publication that takes a list into the rule before PostgreSQL is told it. */
function isCover(effect: Effect, state: NodeState): boolean {
  if (effect.do !== 'publish' || state.name !== 'leading') return false;
  const { applied } = state.list;
  const { standbys, quorum } = effect.epoch.rule;
  return applied === null || applied.quorum !== quorum || `${applied.standbys}` !== `${standbys}`;
}

/** By name, each with a seed that shows it. */
export const DEFECTS: Readonly<Record<string, Defect & { readonly shownBy: number }>> = {
  'a holder acts for longer than its lease': {
    shownBy: 4,
    since: (node) => node.clock + 1500,
  },

  'nobody ends PostgreSQL for an agent that stands still': {
    shownBy: 9,
    hasNoGuard: true,
  },

  'PostgreSQL is not ended when the lease is lost': {
    shownBy: 7,
    hasNoGuard: true,
    effect(effect, node) {
      if (effect.do !== 'stop' || !node.postgres.isPrimary) return effect;
      node.laterInAgent(10, () => node.answer(effect.id, { kind: 'stopped', stopped: node.stopped }));
      return 'dropped';
    },
  },

  'PostgreSQL starts again as the primary that it was': {
    shownBy: 1,
    started({ postgres, name, world }) {
      if (world.store.state.view().leader?.holder.startsWith(`${name}/`) === true) return;
      postgres.isPrimary = postgres.list !== null;
      postgres.isOpen = postgres.isPrimary;
      const node = world.node(name);
      node.permitUntil = postgres.isPrimary ? Number.POSITIVE_INFINITY : node.permitUntil;
    },
  },

  'a standby that votes goes on receiving': {
    shownBy: 3988,
    detaches: false,
  },

  'one vote is enough': {
    shownBy: 6,
    ...seen((view) =>
      withRule(view, (rule) => ({
        ...rule,
        standbys: rule.standbys.filter((name) => view.members.get(name)?.vote != null),
      })),
    ),
  },

  'nobody asks who has most': {
    shownBy: 2,
    ...seen((view, { settings }) =>
      withMembers(view, (member, name) => {
        if (member.vote === null || name === settings.node) return member;
        return { ...member, vote: { ...member.vote, position: hasNothing(member.vote.position) } };
      }),
    ),
  },

  'timelines are not looked at': {
    shownBy: 2,
    ...told((input) => {
      if (input.kind !== 'answer' || input.answer.kind !== 'at') return input;
      const { history, lsn } = input.answer.position;
      return { ...input, answer: { kind: 'at', position: { history: history.slice(0, 1), lsn } } };
    }),
  },

  'PostgreSQL waits for a new list before the store knows of it': {
    shownBy: 44,
    effect(effect, node) {
      if (effect.do !== 'publish' || !isCover(effect, node.agent!)) return effect;
      node.laterInAgent(1, () => node.answer(effect.id, { kind: 'published', version: effect.version }));
      return 'dropped';
    },
  },

  'commits wait for nobody': {
    shownBy: 2,
    effect: (effect) => (effect.do === 'synchronize' ? { ...effect, standbys: [], quorum: 0 } : effect),
  },

  'a standby is received from whatever it follows': {
    shownBy: 1098,
    ...seen((view, { settings: { replicateFrom } }) => {
      const { epoch } = view;
      if (epoch === null) return view;
      const upstream = { term: epoch.term, node: epoch.primary, streams: true };
      return withMembers(view, (member, name) => (name === replicateFrom ? { ...member, upstream } : member));
    }),
  },

  'a standby counts that has not heard of the term': {
    shownBy: 1400,
    ...seen((view, { holding, settings: { node } }) => {
      if (holding === null) return view;
      const upstream = { term: holding.term, node, streams: true };
      return withMembers(view, (member) => ({ ...member, upstream }));
    }),
  },

  'a rewind leaves the data as it was': {
    shownBy: 24,
    rewinds: false,
    rewound({ postgres }, primary) {
      postgres.history = [...primary.postgres.history];
    },
  },

  'data that is half rewound counts as whole': {
    shownBy: 621,
    ...told((input) => {
      if (input.kind !== 'answer' || input.answer.kind !== 'stopped') return input;
      return { ...input, answer: { kind: 'stopped', stopped: { ...input.answer.stopped, data: 'whole' } } };
    }),
  },

  'a restart of the store forgets the lease': {
    shownBy: 10,
    recover: (lasting) => ({ ...lasting, leader: null }),
  },

  'a restart of the store forgets the last term': {
    shownBy: 10,
    recover: (lasting) => ({ ...lasting, term: Math.max(0, lasting.term - 1), leader: null }),
  },

  'a failure is not heard of': {
    shownBy: 2,
    ...told((input) =>
      input.kind === 'answer' && input.answer.kind === 'failed' ? { kind: 'tick', at: input.at } : input,
    ),
  },
};
