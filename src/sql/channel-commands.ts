/** Reads which channels a text listens to (documentation: LISTEN, UNLISTEN). Off the hot path. */
import { TOKEN } from './lexer.js';
import { Cursor } from './prepared-statements.js';

/** What the statements of one text do with channels, together. */
export interface ChannelCommands {
  /** The channels of its LISTEN statements, as PostgreSQL knows them; null where one can't be known for certain. */
  readonly listens: readonly string[] | null;
  /** It has an UNLISTEN. */
  readonly unlistens: boolean;
}

/** LISTEN within DO, a function or EXECUTE is not among them. */
export function readChannelCommands(bytes: Uint8Array, start: number, end: number): ChannelCommands {
  const cursor = new Cursor(bytes, start, end);
  const listens: string[] = [];
  let isCertain = true;
  let unlistens = false;
  for (;;) {
    if (cursor.take('unlisten')) unlistens = true;
    else if (cursor.take('listen')) {
      const name = cursor.takeName();
      if (name === null) isCertain = false;
      else listens.push(name.text);
    }
    while (!cursor.isOver) cursor.next();
    if (cursor.token !== TOKEN.SEMICOLON) break;
    cursor.next();
  }
  isCertain &&= cursor.token === TOKEN.END && !cursor.doubtful;
  return { listens: isCertain ? listens : null, unlistens };
}
