import { getHeapStatistics } from 'node:v8';

/** What the process holds of memory, in bytes; heap and buffers are those of the thread that asks. */
export interface MemoryUse {
  readonly heapUsed: number;
  readonly heapTotal: number;
  /** Buffers and other things outside of the heap that objects in it hold. */
  readonly external: number;
  /** Of the whole process; null while that can't be found out. */
  readonly resident: number | null;
}

/** As of now; never throws. */
export function memoryUse(): MemoryUse {
  const { used_heap_size, total_heap_size, external_memory } = getHeapStatistics();
  return {
    heapUsed: used_heap_size,
    heapTotal: total_heap_size,
    external: external_memory,
    resident: residentBytes(),
  };
}

/** Of the whole process; null without a file descriptor left, since Node.js reads it from a file. (`process.memoryUsage()` throws then.) */
export function residentBytes(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    return null;
  }
}
