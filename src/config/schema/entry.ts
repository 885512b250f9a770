/** The keys of entries of `databases`, `users` and `peers`: each may be missing, and then something else holds. */
import type * as z from 'zod';
import { duration, wholeNumber } from '../value-types.js';

/** Adds what the documentation says about a key. */
export function key<Type extends z.ZodType>(type: Type, shownType: string, description: string) {
  return type.meta({ description, 'x-type': shownType });
}

/** A whole number that may be missing. */
export function optionalCount(max: number, description: string) {
  return key(wholeNumber(0, max).optional(), 'whole number', description);
}

/** A duration that may be missing; the output is in ms. */
export function optionalSeconds(description: string) {
  return key(duration().optional(), 'duration', description);
}

/** "Without it: ..." */
export const otherwise = (setting: string): string => `Without it: \`${setting}\`.`;
