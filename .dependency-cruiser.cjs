/**
 * The import directions of ARCHITECTURE.md: each folder of src/ may import itself and what stands before it here.
 */
const FOLDERS = [
  'wire',
  'sql',
  'routing',
  'core',
  'cluster',
  'config',
  'stores',
  'grammar',
  'reactor',
  'control',
  'agent',
  'cli',
];
/** Machines without I/O: they get time, randomness and connections from outside. */
const PURE = 'wire|sql|routing|core|cluster';

const upward = FOLDERS.slice(0, -1).map((folder, index) => ({
  name: `no-upward-import-from-${folder}`,
  comment: `src/${folder} stands below what it imports: move what is shared down, or hand it in from above`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: `^src/(${FOLDERS.slice(index + 1).join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'no-unknown-folder',
      comment: 'a new folder of src/ needs its place in the order above',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: `^src/(${FOLDERS.join('|')})/` },
    },
    {
      name: 'no-circle',
      comment:
        'a circle can only be read, tested and changed as a whole; one of types alone is no circle at run time',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'product-without-tests',
      comment: 'what ships must not need what does not',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(simulator|test|bench)/|\\.test\\.ts$' },
    },
    {
      name: 'product-without-development-packages',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only', 'npm-optional'] },
    },
    {
      name: 'no-undeclared-package',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      // The native addon is built at install time, where that is possible.
      to: { couldNotResolve: true, pathNot: '\\.node$' },
    },
    {
      name: 'pure-folders-without-io',
      comment:
        'wire, sql, routing, core and cluster import no module of Node.js but buffer, crypto and assert',
      severity: 'error',
      from: { path: `^src/(${PURE})/`, pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(buffer|crypto|assert|assert/strict)$' },
    },
    {
      name: 'pure-folders-without-packages',
      comment: 'the hot path depends on nothing that others change',
      severity: 'error',
      from: { path: `^src/(${PURE})/`, pathNot: '\\.test\\.ts$' },
      to: { path: 'node_modules/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'] },
  },
};
