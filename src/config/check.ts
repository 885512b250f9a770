/** Checks a tree of plain values against the schema, and turns what the schema says into sentences for people. */
import type * as z from 'zod';
import { knownKeys } from './known-keys.js';
import { nearestName } from './nearest-name.js';
import type { OriginMap } from './origin-map.js';
import { ConfigError, formatKey, type Problem } from './problem.js';
import { type ConfigValues, configSchema, USER_KEYS } from './schema.js';
import { hidePassword } from './server-url.js';

const SHOWN_LENGTH = 80;
/** What may be wrong with a user without its password being in the wrong place. */
const PUBLIC_USER_KEYS: ReadonlySet<string> = new Set(
  USER_KEYS.filter((key) => key !== 'password' && key !== 'verifier'),
);

/** @throws {ConfigError} with every problem found */
export function checkTree(values: Record<string, unknown>, origins: OriginMap): ConfigValues {
  return checkAgainst(configSchema, values, origins);
}

/** The same for a file of another kind. */
export function checkAgainst<Schema extends z.ZodType>(
  schema: Schema,
  values: Record<string, unknown>,
  origins: OriginMap,
): z.output<Schema> {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const checked: Checked = { schema, values, origins };
  throw new ConfigError(result.error.issues.flatMap((issue) => explainIssue(issue, [], checked)));
}

type Issue = z.core.$ZodIssue;

/** What is checked, and by what. */
interface Checked {
  readonly schema: z.ZodType;
  readonly values: unknown;
  readonly origins: OriginMap;
}

function explainIssue(issue: Issue, parent: PropertyKey[], checked: Checked): Problem[] {
  const { values: root, origins } = checked;
  const path = [...parent, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      origin: origins.get([...path, key]),
      key: formatKey([...path, key]),
      message: explainUnknownKey(key, path, checked.schema),
    }));
  }
  if (issue.code === 'invalid_union') {
    // The branch that is meant is the one that got past the kind of value (text or mapping).
    const meant = issue.errors.find((branch) => branch.length > 0 && !branch.some(isWrongKind));
    if (meant) return meant.flatMap((inner) => explainIssue(inner, path, checked));
  }
  if (issue.code === 'invalid_key') {
    const found = JSON.stringify(String(path.at(-1)));
    const message = `found ${found}, expected ${issue.issues[0]?.message ?? 'another key'}`;
    return [{ origin: origins.get(path), key: formatKey(path), message }];
  }
  const key = formatKey(path);
  const origin = origins.get(path);
  if (issue.code === 'custom' && issue.params?.sentence === true) {
    return [{ origin, key, message: `${issue.message} (found ${show(path, root)})` }];
  }
  return [{ origin, key, message: `found ${show(path, root)}, expected ${issue.message}` }];
}

function isWrongKind(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_type';
}

function explainUnknownKey(key: string, path: readonly PropertyKey[], schema: z.ZodType): string {
  const known = knownKeys(schema, path);
  const near = nearestName(key, known);
  if (near) return `no such setting; did you mean ${near}?`;
  return path.length === 0
    ? 'no such setting; "sluice config docs" lists all'
    : `no such setting here; known ones: ${known.join(', ')}`;
}

/** The value at a path as a reader would recognise it, without secrets. */
function show(path: readonly PropertyKey[], root: unknown): string {
  let value = root;
  let shownPath: readonly PropertyKey[] = [];
  for (const key of path) {
    // A part of a URL: show the URL.
    if (typeof value !== 'object' || value === null) break;
    value = (value as Record<PropertyKey, unknown>)[key];
    shownPath = [...shownPath, key];
  }
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (isSecret(shownPath)) return 'a value (not shown, it may be a secret)';
  const text = typeof value === 'string' ? JSON.stringify(hidePassword(value)) : String(value);
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text;
}

/** Below `users`, anything that isn't a known harmless key may be a password in the wrong place. */
function isSecret(path: readonly PropertyKey[]): boolean {
  if (path[0] === 'users') return !PUBLIC_USER_KEYS.has(String(path[2]));
  return (path[0] === 'databases' && path[2] === 'password') || path[0] === 'auth_ldap_options';
}
