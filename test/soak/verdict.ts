/** Whether what a soak has left behind is level. */
import type { SoakReport } from './soak.js';

/** Between a first and a last look: a heap's size is not to be had to the byte. */
const GROWTH_BYTES_MAX = 32 << 20;

/** What speaks against it; empty: level, and nobody harmed. */
export function judge({ baseline, turns, failures }: SoakReport): string[] {
  const against = [...failures];
  const last = turns.at(-1);
  if (last === undefined) return ['no turn was run'];
  const { descriptors } = last.resources;
  if (descriptors > baseline.descriptors) {
    against.push(`${descriptors} descriptors at the end, ${baseline.descriptors} at the beginning`);
  }
  // The least of the last turns: one of them may have been looked at before its garbage was collected.
  const late = Math.min(...turns.slice(-3).map(({ resources }) => resources.residentBytes));
  const grown = late - baseline.residentBytes;
  if (grown > GROWTH_BYTES_MAX)
    against.push(`resident memory has grown by ${(grown / (1 << 20)).toFixed(1)} MB`);
  return against;
}
