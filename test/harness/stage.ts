/** The usual set-up of an integration test: one PostgreSQL server, and a gateway before it on every driver. */
import { after, before, describe } from 'node:test';
import { availableDrivers } from './drivers.js';
import { type Driver, type GatewayOptions, GatewayUnderTest } from './gateway-under-test.js';
import { type PostgresOptions, PostgresServer } from './postgres-server.js';

export interface StageOptions {
  readonly postgres?: PostgresOptions;
  readonly gateway?: Omit<Partial<GatewayOptions>, 'io'>;
  /** Statements that are run once on the server. */
  readonly setup?: string;
  /** All that there are. */
  readonly drivers?: readonly Driver[];
}

/** What a test may use; only inside of hooks and tests. */
export interface Stage {
  readonly io: Driver;
  readonly server: PostgresServer;
  readonly gateway: GatewayUnderTest;
}

/** Defines the same tests for every driver, or for those of the options. The server is shared by all of them, the gateway by those of one driver. */
export function onEveryDriver(title: string, options: StageOptions, define: (stage: Stage) => void): void {
  describe(title, () => {
    let server: PostgresServer | undefined;
    before(async () => {
      server = await PostgresServer.start(options.postgres);
      if (options.setup !== undefined) await server.query(options.setup);
    });
    after(() => server?.discard());
    for (const io of options.drivers ?? availableDrivers) {
      describe(io, () => {
        let gateway: GatewayUnderTest | undefined;
        before(async () => {
          gateway = await GatewayUnderTest.start({ server: server!, ...options.gateway, io });
        });
        define({
          io,
          get server() {
            return server!;
          },
          get gateway() {
            return gateway!;
          },
        });
        // Hooks run in the order of their definition: the tests' own clean-up comes first.
        after(() => gateway?.stop());
      });
    }
  });
}
