/** Tells a client that wants to know (`sluice.explain_route`) where its statements go, and why. */
import { buildNoticeResponse } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { UnitJudge } from './unit-judge.js';

/** @param where a node's name, or `the primary` */
export function explainRoute(
  client: { send(message: Uint8Array): void },
  { explains, reason }: Pick<UnitJudge, 'explains' | 'reason'>,
  where: string,
): void {
  if (!explains) return;
  const message = `routed to ${where}: ${reason}`;
  client.send(buildNoticeResponse({ severity: 'NOTICE', code: SqlState.successful_completion, message }));
}
