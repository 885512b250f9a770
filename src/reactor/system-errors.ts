import { getSystemErrorMap } from 'node:util';

const messages = getSystemErrorMap();

/** The short message of an errno (positive), e.g. `connection refused`. */
export function systemErrorMessage(errno: number): string {
  return messages.get(-errno)?.[1] ?? `system error ${errno}`;
}

/** The name of an errno (positive), e.g. `EADDRINUSE`. */
export function systemErrorCode(errno: number): string {
  return messages.get(-errno)?.[0] ?? 'EUNKNOWN';
}
