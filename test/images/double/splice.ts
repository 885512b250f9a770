import type { Socket } from 'node:net';

/** Hands bytes, their ends and their breaks over between two connections. */
export function splice(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.setNoDelay(true);
    from.on('error', () => to.resetAndDestroy());
    from.pipe(to);
  }
}
