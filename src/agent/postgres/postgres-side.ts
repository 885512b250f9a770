/**
 * The PostgreSQL half of an agent: it carries out what the machine of `src/cluster` decides, and says what has come of it.
 * `src/cluster/inputs.ts` is the contract of each command, docs/availability.md that of the whole.
 */
import type { Logger } from 'pino';
import type { Effect, Input } from '../../cluster/inputs.js';
import type { NodeProblem } from '../../cluster/node-facts.js';
import type { Contact, Epoch } from '../../cluster/records.js';
import type { REPLICATION_SSLMODES } from '../../config/agent-schema.js';
import type { PostgresBinaries } from '../postgres-binaries.js';
import type { ServerUser } from '../server-user.js';

/** What the machine wants of PostgreSQL. */
export type PostgresEffect = Extract<
  Effect,
  {
    do:
      | 'stop'
      | 'start'
      | 'detach'
      | 'follow'
      | 'promote'
      | 'synchronize'
      | 'open'
      | 'hold'
      | 'checkpoint'
      | 'permit'
      | 'rewind'
      | 'clone';
  }
>;

type WithoutTime<T> = T extends Input ? Omit<T, 'at'> : never;

/** What PostgreSQL's side tells the machine; whoever drives both adds the time. */
export type PostgresInput = WithoutTime<
  Extract<
    Input,
    { kind: 'answer' | 'ended' | 'replication' | 'stream' | 'stream broken' | 'stream stuck' | 'wedged' }
  >
>;

/** A role of PostgreSQL, and how it logs in. */
export interface Login {
  readonly user: string;
  /** Null: PostgreSQL asks it for none (`trust`): for one machine that nobody else uses. */
  readonly password: string | null;
}

/** One node, as its operator has configured it. */
export interface PostgresSettings {
  /** The node's name; standbys stream under it. */
  readonly node: string;
  /** PostgreSQL's data folder. Beside it, in `DATA.sluice`, lies what the agent keeps. */
  readonly data: string;
  readonly binaries: PostgresBinaries;
  /** Whom PostgreSQL runs as; null: as ourselves. */
  readonly serverUser: ServerUser | null;
  /** `listen_addresses`, e.g. `*`. */
  readonly listen: string;
  readonly port: number;
  /** `unix_socket_directories`; null: what PostgreSQL's own configuration says. */
  readonly socketFolders: string | null;
  /** The agent is let in as this one over the unix socket, by the kernel's word for who it is (`peer`). */
  readonly superuser: Login;
  /** Made by the first primary if it doesn't exist. Standbys stream, clone and rewind as this one. */
  readonly replication: Login;
  readonly replicationTls: {
    readonly mode: (typeof REPLICATION_SSLMODES)[number];
    /** Whose certificates are believed; null: `mode` doesn't ask for them. */
    readonly caFile: string | null;
  };
  /** By whom gateways look up who logs in, and in which databases; null: the agent makes no such role. */
  readonly auth: {
    readonly user: string;
    readonly password: string;
    readonly databases: readonly string[];
  } | null;
  /** The operator's configuration; null: `postgresql.conf` of the data folder, if it is there. */
  readonly configFile: string | null;
  /** The operator's rules for clients; null: `pg_hba.conf` of the data folder, if it is there. */
  readonly hbaFile: string | null;
  /** More settings of PostgreSQL; they win over its configuration file, and ALTER SYSTEM wins over them. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Lines in the form of `pg_hba.conf` that come before those of `hbaFile`. */
  readonly clientRules: readonly string[];
  /** A primary that has written nothing to its disk for so long is `wedged`. ms. */
  readonly canaryMs: number;
}

/** A value of {@link PostgresSettings.canaryMs} well above what load alone can cause. */
export const CANARY_MS = 10_000;

/** What PostgreSQL's side is given by the agent. */
export interface PostgresWorld {
  /** Where a node is reached, from the latest view; null: nobody knows. */
  contactOf(node: string): Contact | null;
  /** The latest epoch that the store has shown. Its history says which term began which timeline. */
  epoch(): Epoch | null;
  /** Whether all nodes that are there have the replication password of this key. */
  isKnownToAll(key: string): boolean;
  /** Whether every registered gateway holds new transactions, in the term in force. */
  heldByGateways(): boolean;
  /** An input for the machine. It may be called at any time, also from within {@link PostgresSide.carryOut}. */
  tell(input: PostgresInput): void;
  readonly logger: Logger;
}

/** What a person wants to know of a node; null: not known. As of the last look, a moment ago. */
export interface PostgresFacts {
  /** e.g. `15.18`. */
  readonly version: string | null;
  readonly isRunning: boolean;
  readonly isPrimary: boolean | null;
  readonly timeline: number | null;
  /** Bytes of WAL: flushed by a primary, received or replayed by a standby. */
  readonly lsn: number | null;
  readonly replayed: number | null;
  /** Whose WAL is being received. */
  readonly streamsFrom: string | null;
  /** Work that takes long, e.g. `cloning 41 %`. */
  readonly doing: string | null;
  /** Why it doesn't get on, and what to do. */
  readonly problem: NodeProblem | null;
  /** By it nodes see whether they have the same replication password. */
  readonly replicationKey: string | null;
}

/** One node's PostgreSQL. */
export interface PostgresSide {
  /**
   * Begins a command, or puts it behind those that are under way (`permit`, `hold` and `checkpoint` never wait). Never throws: what
   * goes wrong is an answer.
   */
  carryOut(effect: PostgresEffect): void;
  facts(): PostgresFacts;
  /**
   * Goes by other settings from now on. Of these may differ: `configFile`, `hbaFile`, `parameters`, `clientRules`, `canaryMs`,
   * `replicationTls`, `auth` and the passwords.
   * @throws {AgentError} PostgreSQL doesn't take them: then the former are in force
   */
  reload(settings: PostgresSettings): Promise<void>;
  /** Ends PostgreSQL, its guard, and all connections. Nothing is told any more. */
  close(): Promise<void>;
}
