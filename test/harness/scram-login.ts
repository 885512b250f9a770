/** A login by SCRAM-SHA-256 for clients that speak the protocol by hand, and verifiers that cost next to nothing. */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import * as Backend from '../../src/wire/backend.js';
import * as Frontend from '../../src/wire/frontend.js';
import { buildMessage } from '../../src/wire/message-writer.js';
import { formatScramVerifier, makeScramVerifier, ScramClient } from '../../src/wire/scram.js';
import type { RawClient } from './raw-client.js';

/** One iteration: what is tested is not how long PBKDF2 takes. */
const ITERATIONS = 1;

function saltPassword(password: string, salt: Uint8Array, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, 32, 'sha256');
}

/** A verifier of a password, in PostgreSQL's form. */
export function cheapVerifier(password: string): string {
  const salt = randomBytes(16);
  return formatScramVerifier(makeScramVerifier(saltPassword(password, salt, ITERATIONS), salt, ITERATIONS));
}

/** SASLInitialResponse. */
export function saslInitialResponse(clientFirst: Uint8Array): Buffer {
  return buildMessage(Frontend.Password, (body) =>
    body.cstring('SCRAM-SHA-256').int32(clientFirst.length).bytes(clientFirst),
  );
}

/** SASLResponse. */
export function saslResponse(clientFinal: Uint8Array): Buffer {
  return buildMessage(Frontend.Password, (body) => body.bytes(clientFinal));
}

/** Answers what the server asks after a StartupMessage, up to where the greeting begins. Throws when it asks otherwise. */
export async function answerScram(client: RawClient, password: string): Promise<void> {
  const scram = new ScramClient('', randomBytes(18).toString('base64'));
  await expect(client, Backend.AuthenticationSASL);
  client.send(saslInitialResponse(scram.first()));
  const challenge = scram.receiveFirst(await expect(client, Backend.AuthenticationSASLContinue));
  if (challenge.kind === 'fail') throw new Error(`SCRAM: ${challenge.message}`);
  const salted = saltPassword(password, challenge.salt, challenge.iterations);
  client.send(saslResponse(scram.final(salted)));
  if (!scram.verify(await expect(client, Backend.AuthenticationSASLFinal))) {
    throw new Error('SCRAM: wrong signature of the server');
  }
}

/** The data of the next message, which has to be an authentication request of this kind. */
async function expect(client: RawClient, code: number): Promise<Buffer> {
  const { type, body } = await client.next();
  if (type !== 'R' || body.readInt32BE(0) !== code) {
    throw new Error(`login was refused: ${type} ${body.toString('latin1', 0, 200)}`);
  }
  return body.subarray(4);
}
