/** The section `cluster` of any configuration file, for commands that need nothing else of it. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { checkAgainst } from './check.js';
import { type ClusterAccess, readClusterAccess } from './cluster-access.js';
import { ConfigError, type Problem } from './problem.js';
import { clusterFields } from './schema/cluster.js';
import { Section } from './section.js';
import { explainUnreadable } from './unreadable.js';
import { readYaml } from './yaml-source.js';

const sectionAlone = z.object({ cluster: clusterFields });
/** Those who only look don't hold a lease: its length is nothing to them but a measure for their patience. ms. */
const LEASE_MS = 5000;

/**
 * Reads it from an agent's or a gateway's file.
 * @throws {ConfigError} if it isn't there, or wrong
 */
export async function loadClusterFile(file: string): Promise<ClusterAccess> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw refusal(file, '', explainUnreadable(error));
  });
  const { values, origins } = readYaml(text, file);
  if (values.cluster == null) throw refusal(file, 'cluster', 'this file names no cluster');
  const problems: Problem[] = [];
  const access = await readClusterAccess(
    checkAgainst(sectionAlone, values, origins).cluster,
    origins,
    problems,
  );
  if (access === null) throw new ConfigError(problems);
  return access;
}

/** The path of a file that an agent's or a gateway's configuration file may name; null: it names none. */
export async function loadNamedFile(
  file: string,
  key: 'http_token_file' | 'http_tls_ca_file',
): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw refusal(file, '', explainUnreadable(error));
  });
  const { values, origins } = readYaml(text, file);
  const { [key]: named } = values;
  return typeof named === 'string' ? new Section(origins, [], []).path([key], named) : null;
}

/** `http://10.0.0.1:2379,http://10.0.0.2:2379`, or the path of a socket. */
export function parseStorePlace(place: string, name: string): ClusterAccess {
  const cluster = { name, leaseMs: LEASE_MS };
  if (!/^https?:/.test(place)) return { ...cluster, store: { kind: 'embedded', socketPath: place } };
  const endpoints = place.split(',').map((url) => url.trim());
  const rest = { user: null, password: null, ca: null, cert: null, key: null };
  return { ...cluster, store: { kind: 'etcd', endpoints, ...rest } };
}

function refusal(file: string, key: string, message: string): ConfigError {
  return new ConfigError([{ origin: { kind: 'file', file, line: 1, column: 1 }, key, message }]);
}
