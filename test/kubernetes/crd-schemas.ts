/** Checks objects of others' kinds (Prometheus Operator's, cert-manager's) against the schemas that these publish. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import * as z from 'zod';
import type { KubernetesObject } from '../../src/control/manifests/kubernetes-object.js';

const FOLDER = fileURLToPath(new URL('../../../test/kubernetes/crds/', import.meta.url));

interface Published {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: Parameters<typeof z.fromJSONSchema>[0];
}

const SCHEMAS = new Map(
  readdirSync(FOLDER).map((file) => {
    const { apiVersion, kind, spec } = parse(readFileSync(join(FOLDER, file), 'utf8')) as Published;
    return [`${apiVersion} ${kind}`, z.fromJSONSchema(spec)];
  }),
);

/** Whether its kind is one of those. */
export function isCustom({ apiVersion, kind }: KubernetesObject): boolean {
  return SCHEMAS.has(`${apiVersion} ${kind}`);
}

/** What is wrong with an object of one of those kinds; nothing: []. */
export function schemaErrors({ apiVersion, kind, metadata, spec }: KubernetesObject): string[] {
  const result = SCHEMAS.get(`${apiVersion} ${kind}`)!.safeParse(spec);
  return result.success ? [] : [`${kind} ${metadata.name}: ${z.prettifyError(result.error)}`];
}
