/** Checks 1 to 3 and 6: acknowledged writes, primaries, and how long clients wait. */
import { FAULTS } from '../faults.js';
import type { Operation } from '../load/history.js';
import { acknowledged } from '../load/oracles.js';
import type { Round } from '../round.js';
import { ASYNCHRONOUS, type Check, changesAtMost, LEASE_MS, type MoreOracles, underFaults } from './check.js';

const { kill, down, split, mute, deaf, side, far, pair, standbys, crash, stop5, stop20, stop60 } = FAULTS;

/**
 * What a primary may acknowledge that is cut off: only while nobody else can have the lease, whoever its clients are. Until the
 * cut is complete it may renew that.
 */
const untilTheLeaseEnds: MoreOracles = (round) => {
  const lastMs = Math.max(round.insideMs ?? 0, lastOfTheOld(round)) - round.struckMs;
  return lastMs < LEASE_MS ? [] : [`a cut-off primary acknowledged for ${lastMs.toFixed(0)} ms`];
};

/**
 * From the fault until the last write was sent that the primary acknowledged which was struck, by way of any gateway. 0: there is
 * none. Where the client itself was cut off its answer comes when the network is whole again, long after it was given.
 */
function lastOfTheOld({ history, since, takenOverMs }: Round): number {
  const all = acknowledged(history);
  const old = all.findLast(({ ended }) => ended <= since);
  if (old === undefined || !Number.isFinite(takenOverMs)) return 0;
  const isOld = ({ server, timeline }: Operation) => server === old.server && timeline === old.timeline;
  return all.filter(isOld).reduce((most, { invoked }) => Math.max(most, invoked - since), 0);
}

/** A client that was between transactions keeps its connection. */
const noDroppedConnections: MoreOracles = ({ history }) => {
  const dropped = history.filter(({ dropped }) => dropped).length;
  return dropped === 0 ? [] : [`${dropped} connections were dropped`];
};

export const LOSSES: readonly Check[] = [
  {
    number: 1,
    name: 'no acknowledged write is lost',
    parts: underFaults({ kill, crash, down, split, pair, standbys, stop5, stop20, stop60 }),
  },
  {
    number: 2,
    name: 'one primary at a time, through gateways in different partitions',
    parts: [
      ...underFaults({ side, far }, { more: changesAtMost(1) }),
      ...underFaults({ side }, { stage: ASYNCHRONOUS, promises: 'everything but losses' }),
    ],
  },
  {
    number: 3,
    name: 'a cut-off primary acknowledges nothing once its lease can be another’s',
    parts: [
      ...underFaults({ down, split, mute, deaf, side }, { more: untilTheLeaseEnds }),
      ...underFaults(
        { down, split, mute, deaf, side },
        { stage: ASYNCHRONOUS, promises: 'everything but losses', more: untilTheLeaseEnds },
      ),
    ],
  },
];

export const WAITING: Check = {
  number: 6,
  name: 'what clients feel of a failover: a pause, and no lost connection',
  parts: underFaults({ kill }, { more: noDroppedConnections }),
};
