/** Which keys a schema has at a place, for those who wrote another one. */
import type * as z from 'zod';

/** What is looked at of a schema's definition. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly shape?: Readonly<Record<string, z.ZodType>>;
}

/** The keys of the mapping at the path; none if there is no mapping. */
export function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const { shape, ...definition } = schema.def as unknown as Definition;
  const [first, ...rest] = path;
  if (shape !== undefined) {
    if (first === undefined) return Object.keys(shape);
    const inner = shape[String(first)];
    return inner === undefined ? [] : knownKeys(inner, rest);
  }
  const entry = definition.valueType ?? definition.element;
  if (entry !== undefined) return first === undefined ? [] : knownKeys(entry, rest);
  const within = [definition.innerType, definition.in, definition.out, ...(definition.options ?? [])];
  for (const candidate of within) {
    const keys = candidate === undefined ? [] : knownKeys(candidate, path);
    if (keys.length > 0) return keys;
  }
  return [];
}
