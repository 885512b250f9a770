/** A PostgreSQL server of a cluster, as far as those who watch it can see: what it has written, replayed, and been promoted to. */
import { formatPosition } from '../../src/core/route/wal-position.js';
import * as Backend from '../../src/wire/backend.js';
import { readFunctionCall } from '../../src/wire/client-messages.js';
import { buildErrorResponse, type ErrorFields } from '../../src/wire/error-fields.js';
import * as Frontend from '../../src/wire/frontend.js';
import {
  buildAuthenticationOk,
  buildBackendKeyData,
  buildCommandComplete,
  buildDataRow,
  buildFunctionCallResponse,
  buildReadyForQuery,
} from '../../src/wire/server-messages.js';
import { readStartupPacket } from '../../src/wire/startup.js';

const FIRST_POSITION = 0x1000000;
const RECORD_BYTES = 48;
const INSERT_OID = 2852;
const REPLAY_OID = 3821;
const PAGE_BYTES = '8192';
const WAL_WRITER_DELAY_S = '0.2';

/** A record of the WAL; `isCommit`: somebody may rely on it. */
export interface WalRecord {
  readonly id: number;
  readonly isCommit: boolean;
}

/** What a message is answered with. */
export interface NodeAnswer {
  readonly bytes: Buffer;
  /** The connection ends behind it. */
  readonly ends: boolean;
}

export class ModelNode {
  readonly name: string;
  systemId = '7000000000000000001';
  timeline = 1;
  isInRecovery: boolean;
  isRunning = true;
  isPaused = false;
  startedAt = 1;
  /** All that it has. */
  log: WalRecord[] = [];
  /** How much of its log is on its disk, and has been replayed. */
  flushed = 0;
  replayed = 0;
  /** How it answers logins of these users; all others may come in. */
  readonly refusals = new Map<string, ErrorFields>();
  logins = 0;

  constructor(name: string, isInRecovery: boolean) {
    this.name = name;
    this.isInRecovery = isInRecovery;
  }

  /** Reads that run there see so much of its log. */
  get visible(): number {
    return this.isInRecovery ? this.replayed : this.log.length;
  }

  /** The first packet of a connection. */
  greet(packet: Uint8Array): NodeAnswer {
    const startup = readStartupPacket(packet, 0, packet.length);
    const user = startup.kind === 'startup' ? (startup.parameters.get('user') ?? '') : '';
    const refusal = this.refusals.get(user);
    this.logins += 1;
    if (refusal !== undefined) return { bytes: buildErrorResponse(refusal), ends: true };
    const key = buildBackendKeyData(1, Buffer.alloc(4));
    const bytes = Buffer.concat([buildAuthenticationOk(), key, buildReadyForQuery(Backend.Idle)]);
    return { bytes, ends: false };
  }

  answer(type: number, bytes: Uint8Array, start: number, end: number): NodeAnswer {
    const ready = buildReadyForQuery(Backend.Idle);
    if (type === Frontend.FunctionCall) {
      const { functionOid } = readFunctionCall(bytes, start, end);
      return { bytes: Buffer.concat([this.call(functionOid), ready]), ends: false };
    }
    if (type !== Frontend.Query) return { bytes: Buffer.alloc(0), ends: true };
    const row = buildDataRow(this.evidence().map((value) => (value === null ? null : Buffer.from(value))));
    const answer = Buffer.concat([row, buildCommandComplete('SELECT 1'), ready]);
    return { bytes: answer, ends: false };
  }

  private call(oid: number): Buffer {
    if (oid === REPLAY_OID) return buildFunctionCallResponse(binary(positionOf(this.replayed)));
    if (oid === INSERT_OID && !this.isInRecovery) {
      return buildFunctionCallResponse(binary(positionOf(this.log.length)));
    }
    return buildErrorResponse({ severity: 'ERROR', code: '55000', message: 'recovery is in progress' });
  }

  private get replayText(): string {
    return formatPosition(positionOf(this.replayed));
  }

  private evidence(): (string | null)[] {
    const { isInRecovery: inRecovery } = this;
    const hexadecimal = this.timeline.toString(16).padStart(8, '0').toUpperCase();
    return [
      inRecovery ? 't' : 'f',
      this.systemId,
      inRecovery ? `${this.timeline}` : hexadecimal,
      inRecovery ? this.replayText : formatPosition(positionOf(this.log.length)),
      formatPosition(positionOf(this.flushed)),
      PAGE_BYTES,
      `${this.startedAt}`,
      inRecovery ? (this.isPaused ? 't' : 'f') : null,
      WAL_WRITER_DELAY_S,
      `${INSERT_OID}`,
      `${REPLAY_OID}`,
    ];
  }
}

function positionOf(records: number): number {
  return FIRST_POSITION + RECORD_BYTES * records;
}

function binary(position: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(position));
  return bytes;
}
