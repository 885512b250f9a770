/**
 * What `session_state = strict` refuses, as a model client knows it: from the model's own reading of its statements, so that
 * the gateway's is compared with another one.
 */
import * as Frontend from '../src/wire/frontend.js';
import * as Packets from './packets.js';
import type { Plan } from './plan.js';
import { parseScript, REFUSED_TEXT, type Statement } from './sql.js';
import type { SettingChange } from './state-sql.js';

/** These follow a client wherever it goes. */
const FREE = new Set([
  ...['timezone', 'application_name', 'client_encoding', 'datestyle', 'intervalstyle'],
  'standard_conforming_strings',
]);

export function isStrict({ settings }: Plan): boolean {
  return settings.sessionState === 'strict' && settings.poolMode !== 'session';
}

/** The message that has the effect which the client is to see: a statement that fails, where it is refused. */
export function asRefused(message: Packets.Packet): Packets.Packet {
  const isParse = message.type === Frontend.Parse;
  if (!isParse && message.type !== Frontend.Query) return message;
  const [name, textAt] = isParse ? Packets.readCstring(message.bytes, 5) : ['', 5];
  const [text] = Packets.readCstring(message.bytes, textAt);
  if (!parseScript(text).some(outlastsTransaction)) return message;
  return isParse ? Packets.parse(name, REFUSED_TEXT) : Packets.query(REFUSED_TEXT);
}

function outlastsTransaction(statement: Statement): boolean {
  switch (statement.kind) {
    case 'set':
      return isLasting(statement);
    case 'set-config':
      return statement.changes.some(isLasting);
    case 'create-temporary':
      return !statement.dropsOnCommit;
    case 'declare':
      return statement.isHeld;
    case 'lock':
    case 'try-lock':
    case 'sql-prepare':
    case 'listen':
      return true;
    default:
      return false;
  }
}

function isLasting({ name, value, local }: SettingChange): boolean {
  const takesBack = value === null || (name === 'role' && value === 'none');
  return !local && !takesBack && !FREE.has(name.toLowerCase());
}
