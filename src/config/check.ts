/** Checks a tree of plain values against the schema, and turns what the schema says into sentences for people. */
import type * as z from 'zod';
import { nearestName } from './nearest-name.js';
import type { OriginMap } from './origin-map.js';
import { ConfigError, formatKey, type Problem } from './problem.js';
import {
  type ConfigValues,
  configSchema,
  DATABASE_KEYS,
  PEER_KEYS,
  SETTING_NAMES,
  USER_KEYS,
} from './schema.js';
import { hidePassword } from './server-url.js';

const SHOWN_LENGTH = 80;
const ENTRY_KEYS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  databases: DATABASE_KEYS,
  users: USER_KEYS,
  peers: PEER_KEYS,
});
/** What may be wrong with a user without its password being in the wrong place. */
const PUBLIC_USER_KEYS: ReadonlySet<string> = new Set(
  USER_KEYS.filter((key) => key !== 'password' && key !== 'verifier'),
);

/** @throws {ConfigError} with every problem found */
export function checkTree(values: Record<string, unknown>, origins: OriginMap): ConfigValues {
  const result = configSchema.safeParse(values);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => explainIssue(issue, [], values, origins));
  throw new ConfigError(problems);
}

type Issue = z.core.$ZodIssue;

function explainIssue(issue: Issue, parent: PropertyKey[], root: unknown, origins: OriginMap): Problem[] {
  const path = [...parent, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      origin: origins.get([...path, key]),
      key: formatKey([...path, key]),
      message: explainUnknownKey(key, path),
    }));
  }
  if (issue.code === 'invalid_union') {
    // The branch that is meant is the one that got past the kind of value (text or mapping).
    const meant = issue.errors.find((branch) => branch.length > 0 && !branch.some(isWrongKind));
    if (meant) return meant.flatMap((inner) => explainIssue(inner, path, root, origins));
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

function explainUnknownKey(key: string, path: readonly PropertyKey[]): string {
  const known = path.length === 0 ? SETTING_NAMES : (ENTRY_KEYS[String(path[0])] ?? []);
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
