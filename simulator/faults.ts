/** Deliberate defects, with which the simulator shows that it would notice real ones. */

import { releasePolicy } from '../src/core/server/release.js';
import * as Backend from '../src/wire/backend.js';
import { CORE_FAULTS } from './core-faults.js';
import type { Fault } from './fault.js';

function around<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get(object, name) {
      if (name in changes) return changes[name as keyof T];
      const value: unknown = Reflect.get(object, name, object);
      return typeof value === 'function' ? value.bind(object) : value;
    },
  });
}

const OUTSIDE_FAULTS = {
  'release at the first ReadyForQuery': {
    install() {
      const { isReleasable } = releasePolicy;
      releasePolicy.isReleasable = (server) => server.status === Backend.Idle;
      return () => {
        releasePolicy.isReleasable = isReleasable;
      };
    },
  },
  'release inside a transaction': {
    install() {
      const { isReleasable } = releasePolicy;
      releasePolicy.isReleasable = (server) => server.outstandingRequests === 0;
      return () => {
        releasePolicy.isReleasable = isReleasable;
      };
    },
  },
  'a piece is delivered twice': {
    events: (events, random) =>
      around(events, {
        received(connection, start, end) {
          events.received(connection, start, end);
          if (random.chance(0.002)) events.received(connection, start, end);
        },
      }),
  },
  'output goes to another connection': {
    io(io, random) {
      let previous = -1;
      return around(io, {
        send(connection, bytes, start, end) {
          const swapped = previous >= 0 && random.chance(0.005) ? previous : connection;
          previous = connection;
          return io.send(swapped, bytes, start, end);
        },
      });
    },
  },
  'the end of a connection is not noticed': {
    events: (events, random) =>
      around(events, {
        closed(connection, error) {
          if (!random.chance(0.2)) events.closed(connection, error);
        },
      }),
  },
  'drained is lost': {
    events: (events) => around(events, { drained() {} }),
  },
  'congestion is ignored': {
    io: (io) =>
      around(io, {
        send(connection, bytes, start, end) {
          io.send(connection, bytes, start, end);
          return false;
        },
      }),
  },
  'sessions are not reset': {
    settings: (settings) => ({ ...settings, serverResetQuery: '' }),
  },
  'pools are one too large': {
    settings: (settings) => ({
      ...settings,
      defaultPoolSize: settings.defaultPoolSize + 1,
      databases: new Map(
        [...settings.databases].map(([name, database]) => [
          name,
          { ...database, poolSize: database.poolSize === null ? null : database.poolSize + 1 },
        ]),
      ),
    }),
  },
  'a key derivation is never answered': {
    io: (io) => around(io, { deriveKey() {} }),
  },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof OUTSIDE_FAULTS | keyof typeof CORE_FAULTS;

export const FAULTS: Readonly<Record<FaultName, Fault>> = { ...OUTSIDE_FAULTS, ...CORE_FAULTS };
