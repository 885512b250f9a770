/** Looking at a running PostgreSQL again and again: for the machine, and for people. */
import type { StandbyProgress } from '../../cluster/inputs.js';
import type { Contact } from '../../cluster/records.js';
import { Canary } from './canary.js';
import { lsnSql } from './position.js';
import type { PostgresFacts, PostgresInput } from './postgres-side.js';
import type { Server } from './server.js';
import { conninfo } from './server-files.js';
import { isWalGone } from './stream-probe.js';

/** Of a primary: what has become of the last commits is told so often. */
const PRIMARY_MS = 50;
/** As long as nobody is let in before standbys have come: more often. */
const OPENING_MS = 15;
const STANDBY_MS = 250;
/** A standby that doesn't stream for so long asks its primary why. */
const SILENCE_MS = 1_500;

export type WatchedFacts = Pick<PostgresFacts, 'isPrimary' | 'timeline' | 'lsn' | 'replayed' | 'streamsFrom'>;

const NOTHING: WatchedFacts = {
  ...{ isPrimary: null, timeline: null, lsn: null, replayed: null, streamsFrom: null },
};

/** Whom a standby follows. */
interface Following {
  readonly primary: string;
  contact: Contact | null;
  /** When its stream was last seen. */
  seenAt: number;
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

  stop(): void {
    this.#round++;
    this.#facts = NOTHING;
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

  beginFollowing(primary: string, contact: Contact | null): void {
    const following: Following = { primary, contact, seenAt: performance.now() };
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
    const isStreaming = following !== null && row.status === 'streaming';
    const replayed = Number(row.replayed);
    this.#facts = {
      ...{ isPrimary: false, timeline: row.timeline ?? this.#facts.timeline, replayed },
      lsn: Math.max(replayed, Number(row.received ?? 0)),
      streamsFrom: isStreaming ? following.primary : null,
    };
    if (isStreaming) following.seenAt = performance.now();
    else if (following !== null && performance.now() - following.seenAt > SILENCE_MS) {
      await this.#askWhy(following, round);
    }
  }

  /** Its primary may have another address since, or no longer the WAL that is needed. */
  async #askWhy(following: Following, round: number): Promise<void> {
    const contact = this.#contactOf(following.primary);
    if (contact === null) return;
    const { settings, paths } = this.#server;
    if (contact.host !== following.contact?.host || contact.port !== following.contact.port) {
      following.contact = contact;
      await this.#server.reload({ primaryConninfo: conninfo(settings, contact, paths.passfile) });
    } else if (await isWalGone(this.#server, contact)) {
      if (round === this.#round) this.#tell({ kind: 'stream broken' });
    }
    following.seenAt = performance.now() - SILENCE_MS / 2;
  }
}
