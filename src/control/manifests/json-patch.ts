/** Patches as kustomizations have them: RFC 6902, without `move`, `copy` and `test`. */
import * as z from 'zod';
import type { Fields } from './kubernetes-object.js';

export const JSON_PATCH = z.array(
  z.union([
    z.strictObject({ op: z.enum(['add', 'replace']), path: z.string().startsWith('/'), value: z.unknown() }),
    z.strictObject({ op: z.literal('remove'), path: z.string().startsWith('/') }),
  ]),
);
export type JsonPatch = z.infer<typeof JSON_PATCH>;

/** Changes the object. Throws where a path leads nowhere. */
export function applyPatch(object: Fields, patch: JsonPatch): void {
  for (const step of patch) {
    const keys = step.path
      .slice(1)
      .split('/')
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() as string;
    const parent = keys.reduce<unknown>((node, key) => (node as Fields | undefined)?.[key], object);
    if (typeof parent !== 'object' || parent === null) throw new Error(`${step.path} leads nowhere`);
    if (Array.isArray(parent)) applyToList(parent, last, step);
    else applyToFields(parent as Fields, last, step);
  }
}

function applyToList(list: unknown[], key: string, step: JsonPatch[number]): void {
  const index = key === '-' ? list.length : Number(key);
  const isThere = step.op === 'add' ? index <= list.length : index < list.length;
  if (!Number.isInteger(index) || !isThere) throw new Error(`${step.path} is not there`);
  if (step.op === 'add') list.splice(index, 0, structuredClone(step.value));
  else if (step.op === 'replace') list[index] = structuredClone(step.value);
  else list.splice(index, 1);
}

function applyToFields(fields: Fields, key: string, step: JsonPatch[number]): void {
  if (step.op !== 'add' && !(key in fields)) throw new Error(`${step.path} is not there`);
  if (step.op === 'remove') delete fields[key];
  else fields[key] = structuredClone(step.value);
}
