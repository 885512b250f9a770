/** The other end of every authentication dialogue: how model servers ask, and how model clients answer. */
import { pbkdf2Sync } from 'node:crypto';
import * as Backend from '../src/wire/backend.js';
import * as Frontend from '../src/wire/frontend.js';
import { md5Password, md5Response } from '../src/wire/md5.js';
import { makeScramVerifier, ScramClient, ScramServer, type ScramVerifier } from '../src/wire/scram.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';
import type { Random } from './random.js';

export type AuthMethod = 'trust' | 'password' | 'md5' | 'scram-sha-256';

/** Few, since the cost of PBKDF2 is not what is simulated. */
const ITERATIONS = 2;

export function saltedPassword(password: string, salt: Uint8Array, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, 32, 'sha256');
}

export function verifierOf(password: string, random: Random): ScramVerifier {
  const salt = random.bytes(16);
  return makeScramVerifier(saltedPassword(password, salt, ITERATIONS), salt, ITERATIONS);
}

function authentication(code: number, ...parts: readonly Buffer[]): Packet {
  return Packets.packet(Backend.Authentication, Packets.int32(code), ...parts);
}

export const authenticationOk = (): Packet => authentication(Backend.AuthenticationOk);

/** A server's side. */
export class PasswordCheck {
  private readonly method: AuthMethod;
  private readonly user: string;
  private readonly password: string;
  private readonly salt: Buffer;
  private readonly scram: ScramServer;
  private scramStarted = false;

  constructor(method: AuthMethod, user: string, password: string, random: Random) {
    this.method = method;
    this.user = user;
    this.password = password;
    this.salt = Buffer.from(random.bytes(4));
    const nonce = Buffer.from(random.bytes(18)).toString('base64');
    this.scram = new ScramServer(verifierOf(password, random), nonce, false);
  }

  /** What to ask first; null when nothing need be asked. */
  ask(): Packet | null {
    switch (this.method) {
      case 'trust':
        return null;
      case 'password':
        return authentication(Backend.AuthenticationCleartextPassword);
      case 'md5':
        return authentication(Backend.AuthenticationMD5Password, this.salt);
      case 'scram-sha-256':
        return authentication(Backend.AuthenticationSASL, Packets.cstring('SCRAM-SHA-256'), Buffer.of(0));
    }
  }

  /** Takes an answer: true when it proves the password, false when not, or what to ask next. */
  answer(message: Packet): { readonly done: boolean; readonly reply: Packet | null } {
    if (message.type !== Frontend.Password) return { done: false, reply: null };
    if (this.method !== 'scram-sha-256') {
      const expected =
        this.method === 'md5' ? md5Response(md5Password(this.user, this.password), this.salt) : this.password;
      return { done: Packets.readCstring(message.bytes, 5)[0] === expected, reply: null };
    }
    if (!this.scramStarted) {
      this.scramStarted = true;
      const [, lengthAt] = Packets.readCstring(message.bytes, 5);
      const step = this.scram.first(message.bytes.subarray(lengthAt + 4));
      if (step.kind === 'fail') return { done: false, reply: null };
      return { done: false, reply: authentication(Backend.AuthenticationSASLContinue, step.data) };
    }
    const step = this.scram.final(message.bytes.subarray(5));
    if (step.kind === 'fail') return { done: false, reply: null };
    return { done: true, reply: authentication(Backend.AuthenticationSASLFinal, step.data) };
  }
}

/** A client's side. */
export class PasswordAnswer {
  private readonly user: string;
  private readonly password: string;
  private readonly scram: ScramClient;

  constructor(user: string, password: string, random: Random) {
    this.user = user;
    this.password = password;
    this.scram = new ScramClient('', Buffer.from(random.bytes(18)).toString('base64'));
  }

  /** The answer to an Authentication message; null when none is due, a text when something is wrong with it. */
  answer(message: Packet): Packet | null | string {
    const { bytes } = message;
    switch (bytes.readInt32BE(5)) {
      case Backend.AuthenticationOk:
        return null;
      case Backend.AuthenticationCleartextPassword:
        return Packets.packet(Frontend.Password, Packets.cstring(this.password));
      case Backend.AuthenticationMD5Password: {
        const response = md5Response(md5Password(this.user, this.password), bytes.subarray(9, 13));
        return Packets.packet(Frontend.Password, Packets.cstring(response));
      }
      case Backend.AuthenticationSASL: {
        const first = this.scram.first();
        return Packets.packet(
          Frontend.Password,
          Packets.cstring('SCRAM-SHA-256'),
          Packets.int32(first.length),
          first,
        );
      }
      case Backend.AuthenticationSASLContinue: {
        const step = this.scram.receiveFirst(bytes.subarray(9));
        if (step.kind === 'fail') return `SCRAM: ${step.message}`;
        const salted = saltedPassword(this.password, step.salt, step.iterations);
        return Packets.packet(Frontend.Password, this.scram.final(salted));
      }
      case Backend.AuthenticationSASLFinal:
        return this.scram.verify(bytes.subarray(9)) ? null : 'SCRAM: wrong server signature';
    }
    return `unknown authentication request ${bytes.readInt32BE(5)}`;
  }
}
