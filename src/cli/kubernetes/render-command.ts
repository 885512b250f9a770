/** `sluice kubernetes render`: manifests for given values. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../usage-error.js';

interface RenderFlags {
  readonly output?: string;
  readonly schema?: true;
}

const NO_FILE = `which values? Name their file, for example
  sluice kubernetes render values.yaml
With these lines it is a cluster of three nodes and three gateways:
  form: cluster
  namespace: db
  image: registry.example.org/sluice-gateway:0.1.0
  node_image: registry.example.org/sluice-node:0.1.0`;

const NO_MANIFESTS =
  'this installation has no manifests (deploy/kubernetes is missing): render from a checkout, or from the npm package';

const TEXT = `
A values file says what differs from the overlays of deploy/kubernetes. The shortest ones:

  form: cluster                 # three database nodes and three gateways that follow their primary
  namespace: db
  image: registry.example.org/sluice-gateway:0.1.0
  node_image: registry.example.org/sluice-node:0.1.0

  form: gateway                 # three gateways in front of databases elsewhere
  namespace: db
  image: registry.example.org/sluice-gateway:0.1.0
  databases: { "*": { nodes: "db1.example.org:5432,db2.example.org:5432" } }

Other forms: minimal (one gateway, one database), two-tier (pods that pool in front of pods that route). More values:
gateway (replicas, resources, settings, service), cluster (nodes, storage, durability, postgresql), monitoring, autoscaling,
certificates; docs/kubernetes.md explains them, --schema prints them for editors. Nothing is asked of any Kubernetes, and no other
program is needed.

Secrets are not rendered. They have to be there: sluice-users, and for a cluster sluice-nodes (docs/kubernetes.md).

Exit code: 0, 1 if the values have mistakes (all are told, by line), 2 for a wrong usage.

Examples:
  sluice kubernetes render values.yaml | kubectl apply -f -
  sluice kubernetes render values.yaml | kubectl diff -f -
  sluice kubernetes render values.yaml --output manifests/
      One file for each object, into a folder that is empty.
  sluice kubernetes render --schema > values.schema.json`;

/** Adds `render`. */
export function registerRender(kubernetes: Command): void {
  kubernetes
    .command('render')
    .summary('print the manifests for given values')
    .description('Prints the manifests for given values.')
    .argument('[FILE]', 'the values (YAML)')
    .option('-o, --output <FOLDER>', 'write one file for each object instead')
    .option('--schema', 'print the JSON Schema of the values')
    .addHelpText('after', TEXT)
    .action(render);
}

async function render(file: string | undefined, { output, schema }: RenderFlags): Promise<void> {
  const { loadManifestValues, manifestValuesJsonSchema } = await import('../../config/manifest-values.js');
  if (schema === true) {
    process.stdout.write(`${JSON.stringify(manifestValuesJsonSchema(), null, 2)}\n`);
    return;
  }
  if (file === undefined) throw new UsageError(NO_FILE);
  const { manifestsAreThere, manifestsText, renderManifests } = await import(
    '../../control/manifests/render.js'
  );
  if (!manifestsAreThere()) throw new UsageError(NO_MANIFESTS);
  const objects = renderManifests(await loadManifestValues(file));
  if (output === undefined) {
    process.stdout.write(manifestsText(objects));
    return;
  }
  mkdirSync(output, { recursive: true });
  // What lies there from another time would be applied, too.
  if (readdirSync(output).length > 0) throw new UsageError(`${output} is not empty: name another folder`);
  for (const object of objects) {
    const name = `${object.kind}-${object.metadata.name}.yaml`.toLowerCase();
    writeFileSync(join(output, name), manifestsText([object]));
  }
  process.stdout.write(`${objects.length} files in ${output}\n`);
}
