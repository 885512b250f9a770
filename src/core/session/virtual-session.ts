/**
 * A client's session where server connections are shared: what it has set follows it to the next server connection, and
 * what can't follow pins it to the one that it has. What a statement may do is told by its text (src/sql); what it has done
 * is asked of the server when the transaction is over.
 */

import { customSettingNames } from '../../sql/custom-setting-names.js';
import { SessionEffect } from '../../sql/session-effect.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { ReportSubject } from '../io.js';
import { recordPin } from '../journal.js';
import { CUSTOM_SETTINGS_MAX, STATE_BYTES_MAX } from '../limits.js';
import type { ParameterSet } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import { type FoundState, NO_ROLE, Pin, ROLE, SESSION_AUTHORIZATION, TOO_LARGE } from '../session-state.js';
import type { OnPin } from '../settings.js';
import { pinNotice, pinRefusal } from './session-errors.js';
import { SqlStatements } from './sql-statements.js';

/** What `SET TRANSACTION` has left behind: it ended with the transaction. */
const OF_THE_TRANSACTION = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
]);

/** The client, as this sees it. */
export interface TrackedClient {
  readonly link: ServerConnection | null;
  readonly onPin: OnPin;
  readonly subject: ReportSubject;
  parameters: ParameterSet;
  settings: ParameterSet;
  prepared: ParameterSet;
  /** What its startup packet named, in the server's spelling. */
  readonly startupValues: ParameterSet;
  /** Whether the servers report a setting by themselves. */
  isReported(name: string): boolean;
  send(message: Uint8Array): void;
  fail(error: ErrorFields): void;
  /** Tells it that a parameter has its startup value again. */
  reportParameter(name: string, value: string): void;
}

export class VirtualSession {
  /** {@link Pin} bits, as of the last answer. */
  pins: number = Pin.NONE;
  /** Since when it has been pinned, in ms. */
  pinnedSince = 0;
  customSettings: Set<string> | null = null;
  /** The server connection that served it last. */
  server: ServerConnection | null;
  /** Pins that no answer can lift. */
  private lasting: number = Pin.NONE;
  private readonly context: GatewayContext;
  private readonly client: TrackedClient;
  private readonly statements: SqlStatements;

  constructor(context: GatewayContext, client: TrackedClient) {
    this.context = context;
    this.client = client;
    this.statements = new SqlStatements(client);
    this.server = client.link;
  }

  /** A statement is sent whose text, `bytes[start, end)`, may have these effects. */
  sent(effects: number, bytes: Uint8Array, start: number, end: number): void {
    const server = this.client.link as ServerConnection;
    if (!server.isSuspect) server.lossFacts.suspected(server.exchange);
    server.isSuspect = true;
    if ((effects & SessionEffect.UNSEEN) !== 0) this.lasting |= Pin.UNSEEN;
    if ((effects & SessionEffect.LOAD) !== 0) this.lasting |= Pin.LIBRARY;
    // From now on it keeps its server connection.
    if ((effects & SessionEffect.SEQUENCE_READ) !== 0) this.lasting |= Pin.SEQUENCE;
    if ((effects & SessionEffect.CUSTOM_SETTING) !== 0) this.noteCustomSettings(bytes, start, end);
  }

  private noteCustomSettings(bytes: Uint8Array, start: number, end: number): void {
    const names = customSettingNames(bytes, start, end);
    this.customSettings ??= new Set();
    for (const name of names ?? []) this.customSettings.add(name);
    if (names === null) this.lasting |= Pin.SETTING_NAMES;
    else if (this.customSettings.size > CUSTOM_SETTINGS_MAX) this.lasting |= Pin.SETTINGS_COUNT;
    else return;
    this.customSettings = null;
  }

  /** The server was lost before it could say what the session holds: it goes on as it was before. */
  lost(): void {
    this.lasting &= this.pins;
  }

  /** What the server has said of the session. */
  found(found: FoundState | null): void {
    const server = this.client.link as ServerConnection;
    let pins = this.lasting;
    if (found === null) {
      pins |= Pin.UNANSWERED;
    } else if (found === TOO_LARGE || sizeOf(found) > STATE_BYTES_MAX) {
      pins |= found.pins | Pin.SETTINGS_SIZE;
    } else {
      pins |= found.pins;
      this.client.settings = this.context.parameterSets.of(this.settingsToKeep(server, found));
      server.settings = this.client.settings;
      // To a role with fewer rights PostgreSQL doesn't show all that is set (GUC_SUPERUSER_ONLY).
      if (isSomebodyElse(server.settings)) server.ranOpaque = true;
      this.restoreStartupValues(server, found);
      const statements = this.withUnprepared(server, found.statements);
      if (this.statements.canFollow(statements, this.client)) {
        this.client.prepared = this.context.parameterSets.of(statements);
        server.prepared = this.context.parameterSets.of(found.statements);
      } else pins |= Pin.PREPARED;
    }
    const added = pins & ~this.pins;
    const isNew = this.pins === Pin.NONE && pins !== Pin.NONE;
    this.pins = pins;
    server.pin(pins !== Pin.NONE);
    if (isNew) this.pinnedSince = this.context.io.now();
    if (isNew) this.context.counters.sessionsPinned += 1;
    if (added !== Pin.NONE) this.pinned(added);
  }

  /** @param added the reasons that did not hold before */
  /** What the server has prepared, and what it could not prepare again. */
  private withUnprepared(
    { unprepared }: ServerConnection,
    statements: ReadonlyMap<string, string>,
  ): ReadonlyMap<string, string> {
    if (unprepared.isEmpty) return statements;
    const kept = [...this.client.prepared.values].filter(([name]) => unprepared.has(name));
    return new Map([...kept, ...statements]);
  }

  private pinned(added: number): void {
    const { onPin } = this.client;
    this.context.pinCounts.add(added);
    recordPin(this.context, this.client, added);
    if (onPin === 'notice') this.client.send(pinNotice(added));
    else if (onPin === 'refuse') this.client.fail(pinRefusal(added));
  }

  private settingsToKeep(server: ServerConnection, { settings }: FoundState): Map<string, string> {
    const kept = new Map(settings);
    for (const [name, value] of settings) {
      const isItself = name === SESSION_AUTHORIZATION && value === server.loginUser;
      const isNobody = name === ROLE && value === NO_ROLE;
      const isOver = OF_THE_TRANSACTION.has(name);
      if (isItself || isNobody || isOver || this.followsByItself(name, value)) kept.delete(name);
    }
    return kept;
  }

  /**
   * What servers report follows as a parameter. One that overrules the client's startup value must be set nevertheless where
   * it is in force already: else nothing would tell it from one that was RESET.
   */
  private followsByItself(name: string, value: string): boolean {
    const atStartup = this.client.startupValues.values.get(name) ?? value;
    return this.client.isReported(name) && atStartup === value;
  }

  /** RESET gives what the server connection began with, and not what this client asked for when it logged in. */
  private restoreStartupValues(server: ServerConnection, { settings }: FoundState): void {
    const { client } = this;
    for (const [name, value] of client.startupValues.values) {
      if (settings.has(name) || server.parameters.values.get(name) === value) continue;
      client.parameters = this.context.parameterSets.with(client.parameters, name, value);
      client.reportParameter(name, value);
    }
  }
}

/** The session acts as another user than it has logged in as. */
function isSomebodyElse({ values }: ParameterSet): boolean {
  return values.has(ROLE) || values.has(SESSION_AUTHORIZATION);
}

function sizeOf({ settings, statements }: FoundState): number {
  let bytes = 0;
  for (const [name, value] of [...settings, ...statements]) bytes += name.length + value.length;
  return bytes;
}
