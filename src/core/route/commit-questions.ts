/**
 * Whether what a client wants to cancel is a commit that waits for synchronous standbys. The primary is asked over the connection
 * that watches it: in its own words, `pg_stat_activity` (to whom that shows other users' sessions: pg_monitor does).
 */
import { buildQuery } from '../../wire/client-messages.js';
import type { GatewayContext } from '../context.js';
import { COMMIT_ANSWER_MS_MAX } from '../limits.js';
import type { OwnQuestion } from '../server/own-question.js';
import type { Cluster } from './cluster.js';
import { readTexts } from './evidence.js';

interface Asked {
  readonly dueAt: number;
  readonly answer: (isWaiting: boolean) => void;
}

export class CommitQuestions {
  private readonly context: GatewayContext;
  private readonly asked = new Set<Asked>();

  constructor(context: GatewayContext) {
    this.context = context;
  }

  /** Answers once. Where nobody can tell, or doesn't in time, it is taken not to wait. @param processId of its server process */
  ask(
    cluster: Pick<Cluster, 'askPrimary'> | undefined,
    processId: number,
    done: (isWaiting: boolean) => void,
  ): void {
    let isWaiting = false;
    const asked: Asked = {
      dueAt: this.context.io.now() + COMMIT_ANSWER_MS_MAX,
      answer: (it) => {
        if (this.asked.delete(asked)) done(it);
      },
    };
    const question: OwnQuestion = {
      what: 'question',
      error: null,
      row: (bytes, start, end) => {
        isWaiting = readTexts(bytes, start, end)?.[0] === 't';
      },
      answered: () => asked.answer(isWaiting),
    };
    this.asked.add(asked);
    const text = `/* sluice: watching */ SELECT wait_event = 'SyncRep' FROM pg_catalog.pg_stat_activity WHERE pid = ${processId}`;
    if (cluster?.askPrimary(question, buildQuery(text)) !== true) asked.answer(false);
  }

  /** Gives up on those that are late, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const asked of [...this.asked]) {
      if (now >= asked.dueAt) asked.answer(false);
      else next = Math.min(next, asked.dueAt);
    }
    return next;
  }
}
