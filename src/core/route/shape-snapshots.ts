/** What is known of statements, as it is shown to people. */
import { SHAPES_SHOWN_MAX } from '../limits.js';
import type { ShapeSnapshot } from '../snapshot.js';
import type { ShapeRoute } from './shape-route.js';
import type { Shapes } from './shapes.js';

/** A database whose statements are routed. */
export interface RoutedDatabase {
  readonly name: string;
  readonly shapes: Shapes;
}

/** The shapes that were called most, and those that were not called since they were asked about. */
export function shapesOf({ name, shapes }: RoutedDatabase): ShapeSnapshot[] {
  return shapes
    .routes()
    .filter((route) => route.text !== '' || callsOf(route) > 0)
    .sort((one, other) => callsOf(other) - callsOf(one))
    .slice(0, SHAPES_SHOWN_MAX)
    .map((route) => snapshotOf(name, route));
}

function callsOf({ statistics: { onPrimary, onStandby } }: ShapeRoute): number {
  return onPrimary + onStandby;
}

function snapshotOf(database: string, route: ShapeRoute): ShapeSnapshot {
  const { statistics, kind, mayRunOnStandby, reason, path, text } = route;
  const { onPrimary, onStandby, rerouted, rows, standbyMs, latency } = statistics;
  return {
    database,
    onPrimary,
    onStandby,
    rerouted,
    rows,
    standbyMs,
    latency: latency?.counts.slice() ?? null,
    kind,
    mayRunOnStandby,
    reason,
    searchPath: path,
    text,
  };
}
