/** Looking at a running PostgreSQL again and again: for the machine, and for people. */
import type { StandbyProgress } from '../../cluster/inputs.js';
import type { NodeProblem } from '../../cluster/node-facts.js';
import type { Contact } from '../../cluster/records.js';
import { Canary } from './canary.js';
import { lsnSql, untilReplayed } from './position.js';
import type { PostgresFacts, PostgresInput } from './postgres-side.js';
import { tryNextSecret } from './primary-contact.js';
import type { Server } from './server.js';
import { findObstacle, type StreamObstacle } from './stream-probe.js';

/** Of a primary: what has become of the last commits is told so often. */
const PRIMARY_MS = 50;
/** As long as nobody is let in before standbys have come: more often. */
const OPENING_MS = 15;
const STANDBY_MS = 250;
/** A standby that doesn't stream for so long asks its primary why. */
const SILENCE_MS = 1_500;
/** In so long PostgreSQL has asked several times: what has not come then, though it would be sent, does not come by itself. */
const STUCK_MS = 5_000;
/** What the primary doesn't explain in this time is told to people as it is. */
const UNEXPLAINED_MS = 10_000;
/** Between two attempts with a new replication password. */
const SECRET_MS = 1_000;

export type WatchedFacts = Pick<PostgresFacts, 'isPrimary' | 'timeline' | 'lsn' | 'replayed' | 'streamsFrom'>;

const NOTHING: WatchedFacts = {
  ...{ isPrimary: null, timeline: null, lsn: null, replayed: null, streamsFrom: null },
};

/** Whom a standby receives from, and how it was told to. */
export interface Following {
  readonly upstream: string;
  readonly contact: Contact | null;
  /** That node is reached at another place now. */
  readonly onMoved: () => void;
}

interface Sender {
  readonly pid: number;
  readonly name: string;
  readonly flushed: string;
}

/** At each moment it looks at PostgreSQL in one way, or not at all. */
export class Watch {
  readonly #server: Server;
  readonly #tell: (input: PostgresInput) => void;
  readonly #contactOf: (node: string) => Contact | null;
  #facts: WatchedFacts = NOTHING;
  #round = 0;
  #canary: Canary | null = null;
  #problem: NodeProblem | null = null;
  /** What was told of the stream last; null: nothing yet. */
  #isStreaming: boolean | null = null;
  /** When a standby's stream was last seen, and when its primary is asked next why there is none. */
  #streamedAt = 0;
  #askAt = 0;
  /** When a new replication password is tried next. */
  #secretAt = 0;

  constructor(
    server: Server,
    contactOf: (node: string) => Contact | null,
    tell: (input: PostgresInput) => void,
  ) {
    this.#server = server;
    this.#contactOf = contactOf;
    this.#tell = tell;
  }

  get facts(): WatchedFacts {
    return this.#facts;
  }

  /** Why a standby doesn't stream. */
  get problem(): NodeProblem | null {
    return this.#problem;
  }

  stop(): void {
    this.#round++;
    this.#facts = NOTHING;
    this.#problem = null;
    this.#canary?.stop();
    this.#canary = null;
  }

  /** It follows nobody. */
  beginStandby(): void {
    this.#begin(
      () => STANDBY_MS,
      () => this.#lookAtStandby(null),
    );
  }

  beginFollowing(following: Following): void {
    this.#isStreaming = null;
    this.#streamedAt = performance.now();
    this.#askAt = this.#streamedAt + SILENCE_MS;
    this.#begin(
      () => STANDBY_MS,
      () => this.#lookAtStandby(following),
    );
  }

  beginPrimary(): void {
    this.#begin(
      () => (this.#canary === null ? OPENING_MS : PRIMARY_MS),
      () => this.#lookAtPrimary(),
    );
  }

  /** Clients are let in: from now on something must get to the disk. */
  beginLeading(): void {
    this.#canary?.stop();
    this.#canary = new Canary(this.#server, () => this.#tell({ kind: 'wedged' }));
  }

  #begin(everyMs: () => number, look: () => Promise<void>): void {
    this.stop();
    const round = this.#round;
    const again = async () => {
      if (round !== this.#round) return;
      // A look that fails is a look missed: what is wrong shows elsewhere.
      await look().catch((error) =>
        this.#server.logger.debug({ reason: error.message }, 'a look has failed'),
      );
      setTimeout(again, everyMs()).unref();
    };
    void again();
  }

  async #lookAtPrimary(): Promise<void> {
    const round = this.#round;
    const [row] = await this.#server.query<{
      flushed: string;
      file: string;
      senders: readonly Sender[] | null;
    }>(
      `SELECT ${lsnSql('pg_current_wal_flush_lsn()')} AS flushed, pg_walfile_name(pg_current_wal_lsn()) AS file,
         (SELECT json_agg(json_build_object('pid', pid, 'name', application_name, 'flushed', ${lsnSql('flush_lsn')})
                          ORDER BY backend_start DESC, pid DESC)
          FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn IS NOT NULL AND usename = $1) AS senders`,
      [this.#server.settings.replication.user],
    );
    if (round !== this.#round || row === undefined) return;
    const lsn = Number(row.flushed);
    const timeline = Number.parseInt(row.file.slice(0, 8), 16);
    this.#facts = { isPrimary: true, timeline, lsn, replayed: null, streamsFrom: null };
    this.#canary?.note(lsn);
    const streaming = new Map<string, StandbyProgress>();
    const outdated: number[] = [];
    for (const { pid, name, flushed } of row.senders ?? []) {
      if (streaming.has(name)) outdated.push(pid);
      else streaming.set(name, { name, flushed: Number(flushed) });
    }
    this.#tell({ kind: 'replication', streaming: [...streaming.values()] });
    // One standby must not count twice: the older of two streams of one name is one that has been lost.
    if (outdated.length > 0) {
      await this.#server.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [outdated]);
    }
  }

  async #lookAtStandby(following: Following | null): Promise<void> {
    const round = this.#round;
    const [row] = await this.#server.query<{
      received: string | null;
      replayed: string;
      status: string | null;
      timeline: number | null;
    }>(
      `SELECT ${lsnSql('pg_last_wal_receive_lsn()')} AS received, ${lsnSql('pg_last_wal_replay_lsn()')} AS replayed,
              status, received_tli AS timeline
       FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver ON true`,
    );
    if (round !== this.#round || row === undefined) return;
    if (following !== null) await this.#tryNextSecret(following);
    const isStreaming = following !== null && row.status === 'streaming';
    const replayed = Number(row.replayed);
    this.#facts = {
      ...{ isPrimary: false, timeline: row.timeline ?? this.#facts.timeline, replayed },
      lsn: Math.max(replayed, Number(row.received ?? 0)),
      streamsFrom: isStreaming ? following.upstream : null,
    };
    if (isStreaming) {
      this.#problem = null;
      this.#streamedAt = performance.now();
      this.#askAt = this.#streamedAt + SILENCE_MS;
      this.#tellOfStream(following.upstream, true);
    } else if (following !== null && performance.now() > this.#askAt) {
      this.#tellOfStream(following.upstream, false);
      await this.#askWhy(following, round);
    }
  }

  #tellOfStream(upstream: string, isThere: boolean): void {
    if (this.#isStreaming === isThere) return;
    this.#isStreaming = isThere;
    this.#tell({ kind: 'stream', upstream, isThere });
  }

  /** A new replication password is taken into use as soon as the primary takes it. */
  async #tryNextSecret({ contact }: Following): Promise<void> {
    if (contact === null || this.#server.secret.next === null || performance.now() < this.#secretAt) return;
    this.#secretAt = performance.now() + SECRET_MS;
    await tryNextSecret(this.#server, contact);
  }

  /** Its primary may have another address since, or no longer the WAL that is needed. */
  async #askWhy({ upstream, contact: told, onMoved }: Following, round: number): Promise<void> {
    const contact = this.#contactOf(upstream);
    if (contact === null) return;
    if (contact.host !== told?.host || contact.port !== told.port) return onMoved();
    const obstacle = await findObstacle(this.#server, contact);
    if (round !== this.#round) return;
    this.#askAt = performance.now() + SILENCE_MS / 2;
    this.#problem = this.#explain(upstream, obstacle);
    if (obstacle?.kind === 'WAL is gone') this.#tell({ kind: 'stream broken', upstream });
    else if (obstacle === null) await this.#askWhetherStuck(upstream, round);
  }

  /** As long as it replays, it may have good reason not to ask for more. */
  async #askWhetherStuck(upstream: string, round: number): Promise<void> {
    if (performance.now() - this.#streamedAt < STUCK_MS) return;
    const isIdle = await untilReplayed(this.#server, STANDBY_MS);
    if (isIdle && round === this.#round) this.#tell({ kind: 'stream stuck', upstream });
  }

  #explain(upstream: string, obstacle: StreamObstacle | null): NodeProblem | null {
    const text = `it does not stream from ${upstream}`;
    if (obstacle === null) {
      // It may be about to.
      if (performance.now() - this.#streamedAt < UNEXPLAINED_MS) return null;
      const advice = `${upstream} would let it: PostgreSQL's log says more, ${this.#server.paths.log}`;
      return { text, advice };
    }
    switch (obstacle.kind) {
      case 'WAL is gone':
        return {
          text: `${text}, which no longer has the WAL that it needs`,
          advice: 'It is cloned as soon as nobody needs its data. A larger wal_keep_size avoids that.',
        };
      case 'refused':
        return {
          text: `${text}: ${obstacle.reason}`,
          advice: obstacle.isLogin ? 'replication_password_file must hold the same on all nodes.' : null,
        };
      case 'not reached':
        return { text: `${text}: ${obstacle.reason}`, advice: 'Look at the network between them.' };
    }
  }
}
