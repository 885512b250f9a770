/**
 * The unix socket of the machine that model servers run on: a gateway may take it instead of TCP if it proves to be the
 * server's. What is behind it, each connection finds anew.
 */
import * as Backend from '../src/wire/backend.js';
import * as Frontend from '../src/wire/frontend.js';
import type { Ledger } from './ledger.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';
import type { AuthMethod } from './passwords.js';
import type { Random } from './random.js';
import type { Peer } from './sim-connection.js';

export const SOCKET = Object.freeze({ path: '/run/postgresql/.s.PGSQL.5432', uid: 26 });
const ANOTHER_UID = 1001;

/** What a connection to the socket finds. */
export type Door =
  | 'the server'
  | 'another server'
  | 'another kind of authentication'
  | 'a refusal'
  | 'an impostor'
  | 'nobody';

export function findDoor(random: Random): Door {
  return random.weighted<Door>([
    [12, 'the server'],
    [1, 'another server'],
    [1, 'another kind of authentication'],
    [1, 'a refusal'],
    [1, 'an impostor'],
    [1, 'nobody'],
  ]);
}

/** The user whose process is at the other end. */
export function ownerBehind(door: Door): number {
  return door === 'an impostor' ? ANOTHER_UID : SOCKET.uid;
}

/** Somebody who would like to see a password. */
export function impostor(ledger: Ledger): Peer {
  const told = (bytes: Buffer): void => {
    if (bytes.length > 0) ledger.fail("something is told to an impostor at the server's unix socket");
  };
  return { label: 'impostor', announced: told, received: told, ended() {}, cut() {} };
}

/** What pg_hba.conf says of the socket, where it differs from what it says of TCP. */
export function otherMethod(method: AuthMethod): AuthMethod {
  return method === 'trust' ? 'password' : 'trust';
}

/** The question by which the gateway tells servers apart. */
export function asksWho(message: Packet): boolean {
  return message.type === Frontend.Query && message.bytes.includes('pg_postmaster_start_time()');
}

/** Its answer. @param door null: it has come by TCP */
export function tellWho(door: Door | null, processId: number): Packet[] {
  const startedAt = door === 'another server' ? '0002a1b2c3d4e5f7' : '0002a1b2c3d4e5f6';
  const row = [startedAt, String(processId), door === null ? 'f' : 't'];
  return [
    Packets.rowDescription(['encode', 'pg_backend_pid', '?column?']),
    Packets.dataRow(row),
    Packets.commandComplete('SELECT 1'),
    Packets.readyForQuery(Backend.Idle),
  ];
}
