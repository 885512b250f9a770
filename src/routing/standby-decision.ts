/** Whether a statement may run on a standby, and why not: its verdict, looked at with the catalogue's facts. */
import { RoutingHint } from '../sql/routing-hint.js';
import {
  attributeTrouble,
  type Catalogue,
  functionTrouble,
  relationTrouble,
  type SearchPath,
} from './catalogue.js';
import { type FunctionUse, type NameUse, nameText, type Uses } from './statement-uses.js';
import type { StatementVerdict } from './statement-verdict.js';

/** Where a statement that stands by itself may run. */
export interface StandbyDecision {
  readonly mayRunOnStandby: boolean;
  /** Why, in words: a whole sentence without its stop. */
  readonly reason: string;
  /** What was taken for granted because there is no catalogue, in words. */
  readonly assumptions: readonly string[];
}

/**
 * Decides about a statement outside of a transaction, in a session that has nothing on the primary (no temporary table, no
 * held cursor): such sessions are pinned, and never come here.
 *
 * @param path the session's search_path, if it is known
 */
export function decideStandby(
  verdict: StatementVerdict,
  catalogue: Catalogue,
  path: SearchPath,
): StandbyDecision {
  const { kind, reason, uses } = verdict;
  if (kind !== 'read' || uses === null) return toPrimary(reason ?? 'it is not known to be a read');
  const assumptions: string[] = [];
  const trouble = troubleOf(uses, catalogue, path, assumptions);
  if (trouble !== null) return toPrimary(trouble);
  return { mayRunOnStandby: true, reason: 'it only reads', assumptions };
}

/**
 * The decision when comments in front of the statement ask for a server (bits of `RoutingHint`). Whoever asks for a standby
 * vouches for what is not known in a read; a statement that is no read goes to the primary nevertheless.
 */
export function followHint(
  decision: StandbyDecision,
  verdict: StatementVerdict,
  hint: number,
): StandbyDecision {
  if ((hint & RoutingHint.PRIMARY) !== 0) return toPrimary('a comment asks for the primary');
  if ((hint & RoutingHint.STANDBY) === 0 || verdict.kind !== 'read') return decision;
  const { mayRunOnStandby, reason, assumptions } = decision;
  return {
    mayRunOnStandby: true,
    reason: 'a comment asks for a standby',
    assumptions: mayRunOnStandby ? assumptions : [`it is harmless, although ${reason}`],
  };
}

function toPrimary(reason: string): StandbyDecision {
  return { mayRunOnStandby: false, reason, assumptions: [] };
}

function troubleOf(uses: Uses, catalogue: Catalogue, path: SearchPath, assumptions: string[]): string | null {
  for (const use of uses.functions) {
    const trouble = callTrouble(use, catalogue, path);
    if (trouble !== null) return `it calls ${nameText(use)}(), ${trouble}`;
    const hidden = catalogue.hiddenTrouble('function', use.name);
    if (hidden !== null) return `it calls ${nameText(use)}(), which ${hidden}`;
  }
  for (const use of uses.relations) {
    const trouble =
      readTrouble(use, catalogue, path, assumptions) ?? catalogue.hiddenTrouble('relation', use.name);
    if (trouble !== null) return `${nameText(use)} ${trouble}`;
  }
  for (const name of uses.operators) {
    const trouble = catalogue.hiddenTrouble('operator', name);
    if (trouble !== null) return `it uses the operator ${name}, which ${trouble}`;
  }
  for (const name of uses.types) {
    const trouble = catalogue.hiddenTrouble('type', name);
    if (trouble !== null) return `it uses the type ${name}, which ${trouble}`;
  }
  for (const name of uses.attributes) {
    const trouble = attributeTrouble(name, catalogue);
    if (trouble !== null) return `it reads .${name}, ${trouble}`;
  }
  return null;
}

/** The settings that applications make up have a dot in their names, and are the session's: they follow it. */
function callTrouble(use: FunctionUse, catalogue: Catalogue, path: SearchPath): string | null {
  const { schema, name, literal } = use;
  if (name === 'current_setting' && (schema === null || schema === 'pg_catalog') && !literal?.includes('.')) {
    return "which may read one of the server's own settings";
  }
  return functionTrouble(use, catalogue, path);
}

function readTrouble(
  use: NameUse,
  catalogue: Catalogue,
  path: SearchPath,
  assumptions: string[],
): string | null {
  const trouble = relationTrouble(use, catalogue, path);
  if (trouble !== undefined) return trouble;
  const systems =
    use.schema?.startsWith('pg_') || use.schema === 'information_schema' || use.name.startsWith('pg_');
  if (catalogue.loaded || systems) return 'is not known here';
  assumptions.push(`${nameText(use)} is an ordinary table`);
  return null;
}
