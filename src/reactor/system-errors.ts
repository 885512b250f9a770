import { getSystemErrorMap } from 'node:util';

const messages = getSystemErrorMap();

/** A system call failed: `code` is the system's name for it, such as `EADDRINUSE`. */
export class SystemError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'SystemError';
    this.code = code;
  }
}

/** The short message of an errno (positive), e.g. `connection refused`. */
export function systemErrorMessage(errno: number): string {
  return messages.get(-errno)?.[1] ?? `system error ${errno}`;
}

/** The error for an errno (positive). */
export function systemError(errno: number): SystemError {
  return new SystemError(messages.get(-errno)?.[0] ?? `errno ${errno}`, systemErrorMessage(errno));
}

/** The short message of an error of Node's, without the names and addresses that Node puts around it. */
export function shortMessage(error: NodeJS.ErrnoException): string {
  if (error instanceof AggregateError && error.errors.length > 0) return shortMessage(error.errors[0]);
  return messages.get(error.errno ?? 0)?.[1] ?? error.message;
}
