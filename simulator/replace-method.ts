/** Another implementation of a method, given what it stands in for. */
export type Replacement<This> = (
  self: This,
  args: readonly unknown[],
  original: (...args: readonly unknown[]) => unknown,
) => unknown;

/**
 * Puts `replacement` in the place of a method, private ones included. Returns what puts the original back.
 * @throws when there is no such method: whoever renames one finds out
 */
export function replaceMethod<This extends object>(
  prototype: This,
  name: string,
  replacement: Replacement<This>,
): () => void {
  const before = Object.getOwnPropertyDescriptor(prototype, name);
  const original: unknown = before?.value;
  if (before === undefined || typeof original !== 'function') {
    throw new Error(`${prototype.constructor.name} has no method ${name}`);
  }
  Object.defineProperty(prototype, name, {
    ...before,
    value(this: This, ...args: unknown[]) {
      return replacement(this, args, (...changed) => Reflect.apply(original, this, changed));
    },
  });
  return () => {
    Object.defineProperty(prototype, name, before);
  };
}

/** Undoes several replacements. */
export function restoreAll(restores: readonly (() => void)[]): () => void {
  return () => {
    for (const restore of [...restores].reverse()) restore();
  };
}
