/** Publishing the epoch, and knowing what of it is in force. */
import type { Turn } from './node-state.js';
import type { Epoch } from './records.js';

/** Publishes over the version that is known. */
export function publishEpoch(turn: Turn, value: Epoch): void {
  const { holder, term } = turn.state.holding!;
  const version = turn.state.epoch?.version ?? 0;
  turn.set({ sent: value });
  turn.command('publish', { do: 'publish', epoch: value, version, leader: { holder, term } });
}

/** Takes the answer to the last publication. */
export function notePublication(turn: Turn): void {
  const { sent } = turn.state;
  const answer = turn.answer('publish');
  if (answer === null || sent === null) return;
  if (answer.kind === 'published' && answer.version !== null) {
    // Whatever was sent before was to replace an older version, and can't any more.
    turn.setList({ doubt: [] });
    return turn.set({ epoch: { value: sent, version: answer.version } });
  }
  if (answer.kind === 'published') {
    // Refused: there is a version that the next view shows.
    turn.setList({ doubt: turn.state.list.doubt.filter((rule) => rule !== sent.rule) });
  }
  turn.set({ retryAt: turn.state.at + turn.settings.timing.renewRetryMs });
}

/** Takes what a view shows, unless we know of something later. */
export function noteEpoch(turn: Turn): void {
  const { view, epoch } = turn.state;
  if (view?.epoch == null || view.epochVersion <= (epoch?.version ?? 0)) return;
  turn.set({ epoch: { value: view.epoch, version: view.epochVersion } });
}
