/** Work that was handed out of the reactor, and who waits for its result. */
import type { AuthorityAnswer, AuthorityQuestion } from './authority.js';
import type { Io } from './io.js';

type KeyTaker = (saltedPassword: Uint8Array | null) => void;
type AnswerTaker = (answer: AuthorityAnswer) => void;

/** Whoever asked is called once, later; it must know by itself whether it still wants the answer. */
export class SlowAnswers {
  private readonly io: Io;
  private readonly keys = new Map<number, KeyTaker>();
  private readonly answers = new Map<number, AnswerTaker>();
  private lastId = 0;

  constructor(io: Io) {
    this.io = io;
  }

  /** PBKDF2 of a prepared password; null when it failed. */
  deriveKey(password: string, salt: Uint8Array, iterations: number, done: KeyTaker): void {
    const id = ++this.lastId;
    this.keys.set(id, done);
    this.io.deriveKey({ id, password, salt, iterations });
  }

  /** Asks the control plane about somebody's identity. */
  ask(question: AuthorityQuestion, done: AnswerTaker): void {
    const id = ++this.lastId;
    this.answers.set(id, done);
    this.io.askAuthority(id, question);
  }

  keyDerived(id: number, key: Uint8Array | null): void {
    const done = this.keys.get(id);
    this.keys.delete(id);
    done?.(key);
  }

  answered(id: number, answer: AuthorityAnswer): void {
    const done = this.answers.get(id);
    this.answers.delete(id);
    done?.(answer);
  }
}
