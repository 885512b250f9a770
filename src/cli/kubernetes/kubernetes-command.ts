/** `sluice kubernetes`: manifests, and what is wrong with what was made of them. */
import type { Command } from 'commander';
import { registerKubernetesCheck } from './kubernetes-check-command.js';
import { registerRender } from './render-command.js';

/** Adds `kubernetes` to the command line. */
export function registerKubernetes(program: Command): void {
  const kubernetes = program
    .command('kubernetes')
    .summary('manifests for Kubernetes, and what is wrong in a namespace')
    .description('Manifests for Kubernetes, and what is wrong in a namespace.');
  registerRender(kubernetes);
  registerKubernetesCheck(kubernetes);
}
