/** The token that changing something by HTTP asks for. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** A shorter one could be guessed. */
const TOKEN_LENGTH_MIN = 16;

/** Whether a request may go on; else why not, in words for whoever sent it. */
export type TokenVerdict =
  | { readonly kind: 'right' }
  /** Nobody may: no token is configured, or the file can't serve. */
  | { readonly kind: 'closed'; readonly error: string; readonly hint: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'wrong' };

/**
 * Compares the request's `Authorization: Bearer ...` with the content of a file, in a time that doesn't depend on
 * how much of it is right. Never throws.
 */
export async function checkToken(file: string, authorization: string | undefined): Promise<TokenVerdict> {
  if (file === '') {
    return {
      kind: 'closed',
      error: 'this needs a token, and none is configured',
      hint: 'Write one into a file that only the gateway may read, and name it by http_token_file.',
    };
  }
  const expected = await readToken(file);
  if (expected === null) {
    return {
      kind: 'closed',
      error: 'the file named by http_token_file cannot be read, or holds no token',
      hint: `It must hold at least ${TOKEN_LENGTH_MIN} characters, and the gateway's user must be able to read it.`,
    };
  }
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (given === undefined) return { kind: 'missing' };
  return { kind: timingSafeEqual(digest(given), digest(expected)) ? 'right' : 'wrong' };
}

/** What is answered to who may not. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly error: string;
  readonly hint: string;
}

/** Null: the request may go on. */
export function refusalOf(verdict: TokenVerdict): Refusal | null {
  const hint = 'Send the content of http_token_file as "Authorization: Bearer TOKEN".';
  switch (verdict.kind) {
    case 'right':
      return null;
    case 'closed':
      return { status: 403, error: verdict.error, hint: verdict.hint };
    case 'missing':
      return { status: 401, error: 'this needs a token', hint };
    case 'wrong':
      return { status: 401, error: 'the token is wrong', hint };
  }
}

async function readToken(file: string): Promise<string | null> {
  try {
    const token = (await readFile(file, 'utf8')).trim();
    return token.length >= TOKEN_LENGTH_MIN ? token : null;
  } catch {
    return null;
  }
}

/** Of equal length whatever the text is. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
