/** Checks objects of Kubernetes against the types of its API, by TypeScript's own compiler: a literal may hold no unknown field. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { KubernetesObject } from '../../src/control/manifests/kubernetes-object.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const FILE = join(PROJECT, 'test/kubernetes/objects-under-check.ts');

/** What is wrong with them, in the compiler's words; nothing: []. */
export function typeErrors(objects: readonly KubernetesObject[]): string[] {
  const lines = objects.map((object, index) => {
    const [group = '', version] = object.apiVersion.includes('/')
      ? object.apiVersion.split('/')
      : ['core', 'v1'];
    const from = `kubernetes-types/${group.split('.')[0]}/${version}`;
    return `export const o${index}: import('${from}').${object.kind} = ${JSON.stringify(object)};`;
  });
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    lib: ['lib.es2022.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const read = host.readFile.bind(host);
  const source = host.getSourceFile.bind(host);
  const text = lines.join('\n');
  host.fileExists = (path) => path === FILE || ts.sys.fileExists(path);
  host.readFile = (path) => (path === FILE ? text : read(path));
  host.getSourceFile = (path, language, ...rest) =>
    path === FILE ? ts.createSourceFile(path, text, language, true) : source(path, language, ...rest);
  const program = ts.createProgram([FILE], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file, start }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line;
    const { kind, metadata } = objects[line] ?? { kind: '?', metadata: { name: '?' } };
    return `${kind} ${metadata.name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}
