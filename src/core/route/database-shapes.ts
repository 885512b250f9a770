/** What is known of the statements of each database that is routed: kept for as long as the database is in use. */
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { CatalogueSource } from './catalogue-reading.js';
import type { RoutedDatabase } from './shape-snapshots.js';
import { Shapes } from './shapes.js';

export class DatabaseShapes {
  private readonly context: GatewayContext;
  private readonly byDatabase = new Map<Database, Shapes>();

  constructor(context: GatewayContext) {
    this.context = context;
  }

  /** @param source where the database's catalogue is read from now on */
  of(database: Database, source: CatalogueSource): Shapes {
    let shapes = this.byDatabase.get(database);
    if (shapes === undefined) {
      shapes = new Shapes(this.context, database, source);
      this.byDatabase.set(database, shapes);
    } else shapes.catalogue.readFrom(source);
    return shapes;
  }

  find(database: Database): Shapes | undefined {
    return this.byDatabase.get(database);
  }

  get isEmpty(): boolean {
    return this.byDatabase.size === 0;
  }

  get routed(): RoutedDatabase[] {
    return [...this.byDatabase].map(([{ name }, shapes]) => ({ name, shapes }));
  }

  /** Forgets the others. */
  keep(inUse: (database: Database) => boolean): void {
    for (const database of this.byDatabase.keys()) {
      if (!inUse(database)) this.byDatabase.delete(database);
    }
  }

  /** Does what is due, and returns when to call it again, in ms. */
  advance(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const shapes of this.byDatabase.values()) next = Math.min(next, shapes.advance(now));
    return next;
  }
}
