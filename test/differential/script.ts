/**
 * Scripts of protocol messages, and their transcripts: what a server answers, without what may differ between two
 * sessions that are otherwise the same.
 */
import { createHash } from 'node:crypto';
import { type BackendMessage, describeMessage, errorOf } from '../harness/backend-message.js';
import type { Endpoint } from '../harness/raw-client.js';
import { RawClient } from '../harness/raw-client.js';

/**
 * Messages to send (those between two expectations go out in one write), and expectations: a text of message types, each
 * of which is waited for in turn (`'1'`: up to ParseComplete, `'ZZ'`: up to the second ReadyForQuery).
 */
export type Step = Uint8Array | string;

export interface Script {
  readonly name: string;
  readonly steps: readonly Step[];
}

export function script(name: string, ...steps: readonly Step[]): Script {
  return { name, steps };
}

export interface PlayOptions {
  /** Called whenever the session is outside a transaction and nothing is outstanding. */
  readonly betweenTransactions?: () => Promise<void>;
  /** Sends in pieces of so many bytes. */
  readonly pieceBytes?: number;
}

/** Longest body that a transcript shows; a longer one is told by its digest. */
const SHOWN_BYTES_MAX = 400;

/** Plays a script in a session of its own; a trailing query tells what came too much. */
export async function play(to: Endpoint, script: Script, options: PlayOptions = {}): Promise<string[]> {
  const client = await RawClient.login(to, { application_name: 'script' });
  const transcript: string[] = [];
  const take = (messages: readonly BackendMessage[]) => transcript.push(...messages.map(entry));
  try {
    let status = 'I';
    let unsent: Uint8Array[] = [];
    for (const step of [...script.steps, END, 'Z']) {
      if (typeof step !== 'string') {
        unsent.push(step);
        continue;
      }
      if (status === 'I') await options.betweenTransactions?.();
      if (options.pieceBytes === undefined) client.send(...unsent);
      else await client.sendSlowly(Buffer.concat(unsent), options.pieceBytes);
      unsent = [];
      for (const type of step) {
        const messages = await client.take(type);
        take(messages);
        const last = messages.at(-1);
        status = last?.type === 'Z' ? last.body.toString() : 'busy';
      }
    }
    if (client.closed || client.peerEnded) client.destroy();
    else await client.close();
  } catch (error) {
    take(client.arrived);
    transcript.push(`stuck: ${(error as Error).message.split('\n')[0]}`);
    client.destroy();
  }
  return transcript;
}

/** `SELECT 'end of script'` */
const END = Buffer.concat([Buffer.from('Q\0\0\0\x1b'), Buffer.from("SELECT 'end of script'\0")]);

function entry(message: BackendMessage): string {
  const { type, body } = message;
  if (type === 'K') return 'K';
  if (type === 'E' || type === 'N') {
    // Where in PostgreSQL's sources it was raised says nothing to a client.
    const { file: _file, line: _line, routine: _routine, ...fields } = errorOf(message);
    // The server knows prepared statements under names that the gateway gave them.
    const text = fields.message.replace(/(bind message supplies .* prepared statement) "[^"]*"/, '$1 "*"');
    return `${type} ${JSON.stringify({ ...fields, message: text })}`;
  }
  if (body.length <= SHOWN_BYTES_MAX) return `${type} ${JSON.stringify(body.toString('latin1'))}`;
  const digest = createHash('sha256').update(body).digest('hex');
  return `${describeMessage(message)} sha256 ${digest}`;
}
