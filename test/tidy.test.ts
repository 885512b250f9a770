/** What can be checked of the code's style and of the documents' links. Each failure names the file and the line. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;

/** Folders whose code gets time, randomness and the outside world handed in. */
const PURE = /^src\/(wire|sql|routing|core|cluster)\//;
const IMPURE = new Set([
  'Date',
  'process',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'console',
]);

/** The letters stand apart because this file is looked at too. */
const LEFT_FOR_LATER = /\b(?:T[O]DO|F[I]XME|X[X]X)\b/;

interface Source {
  /** From the project's folder. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

function filesIn(folder: string, ending: RegExp): string[] {
  const absolute = join(PROJECT, folder);
  if (!existsSync(absolute)) return [];
  const entries = readdirSync(absolute, { recursive: true }) as string[];
  return entries.filter((entry) => ending.test(entry)).map((entry) => join(folder, entry));
}

function read(path: string): Source {
  const text = readFileSync(join(PROJECT, path), 'utf8');
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
}

const product = filesIn('src', /(?<!\.test)\.ts$/).map(read);
const everything = ['src', 'simulator', 'test', 'bench'].flatMap((folder) =>
  filesIn(folder, /\.m?[jt]s$/).map(read),
);

function place({ path, tree }: Source, node: ts.Node): string {
  return `${path}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`;
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => visit(child, look));
}

function isExported(node: ts.Node): boolean {
  if (!ts.canHaveModifiers(node)) return false;
  return ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function lineCount(source: Source, node: ts.Node): number {
  const line = (position: number) => source.tree.getLineAndCharacterOfPosition(position).line;
  return line(node.end) - line(node.getStart(source.tree)) + 1;
}

/** An identifier that means the global of this name, not a property, a parameter or an import of ours. */
function isGlobalUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) return true;
  return ts.isElementAccessExpression(parent) && parent.expression === node;
}

function usesRandomness(node: ts.Node): boolean {
  return ts.isPropertyAccessExpression(node) && node.getText() === 'Math.random';
}

/** Explained by a comment of its own, or by the docstring with which the file begins. */
function isExplained(source: Source, node: ts.Node): boolean {
  if (/^(#!.*\n)?\/\*\*/.test(source.text)) return true;
  if (ts.getJSDocCommentsAndTags(node).length > 0) return true;
  return source.text.slice(node.end, source.text.indexOf('\n', node.end)).includes('//');
}

describe('tidy', () => {
  test('there is code to look at', () => {
    assert.ok(product.length > 20, `only ${product.length} files were found`);
  });

  test(`no file of src/ has more than ${FILE_LINES_MAX} lines`, () => {
    const long = product.filter(({ text }) => text.split('\n').length - 1 > FILE_LINES_MAX);
    assert.deepEqual(
      long.map(({ path }) => path),
      [],
    );
  });

  test(`no function of src/ has more than ${FUNCTION_LINES_MAX} lines`, () => {
    const long: string[] = [];
    for (const source of product) {
      visit(source.tree, (node) => {
        if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return;
        const lines = lineCount(source, node);
        if (lines > FUNCTION_LINES_MAX) long.push(`${place(source, node)} ${lines} lines`);
      });
    }
    assert.deepEqual(long, []);
  });

  test('the machines without I/O use no clock, no randomness, no timer and no process', () => {
    const uses: string[] = [];
    for (const source of product.filter(({ path }) => PURE.test(path))) {
      visit(source.tree, (node) => {
        const named = ts.isIdentifier(node) && IMPURE.has(node.text) && isGlobalUse(node);
        if (named || usesRandomness(node)) uses.push(`${place(source, node)} ${node.parent.getText()}`);
      });
    }
    assert.deepEqual(uses, []);
  });

  test('everything that src/ exports is explained, by itself or by the head of its file', () => {
    const bare: string[] = [];
    for (const source of product) {
      for (const statement of source.tree.statements) {
        if (!isExported(statement) || isExplained(source, statement)) continue;
        bare.push(`${place(source, statement)} ${statement.getText().split('\n')[0]}`);
      }
    }
    assert.deepEqual(bare, []);
  });

  test('nothing is left for later in comments', () => {
    const left = everything.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (LEFT_FOR_LATER.test(line) ? [`${path}:${index + 1}`] : [])),
    );
    assert.deepEqual(left, []);
  });
});

interface Link {
  readonly from: string;
  readonly target: string;
}

function linksOf(path: string): Link[] {
  const text = readFileSync(join(PROJECT, path), 'utf8').replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
  const targets = [...text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => match[1] as string);
  return targets.filter((target) => !/^[a-z]+:/i.test(target)).map((target) => ({ from: path, target }));
}

/** A heading's anchor as GitHub makes it. */
function anchorOf(heading: string): string {
  const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
  return plain
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

function resolves({ from, target }: Link): boolean {
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? join(PROJECT, from) : join(PROJECT, dirname(from), decodeURI(file));
  if (!existsSync(path) || relative(PROJECT, path).startsWith('..')) return false;
  if (anchor === undefined || !path.endsWith('.md')) return true;
  const headings = readFileSync(path, 'utf8').matchAll(/^#+\s+(.+)$/gm);
  return [...headings].some((match) => anchorOf(match[1] as string) === anchor);
}

describe('documents', () => {
  const documents = readdirSync(PROJECT)
    .filter((name) => name.endsWith('.md'))
    .concat(filesIn('docs', /\.md$/));

  test('those that a reader begins with are there', () => {
    for (const name of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md']) {
      assert.ok(documents.includes(name), `${name} is missing`);
    }
  });

  test('none holds the marks of a merge that was not finished', () => {
    const marked = documents.filter((path) =>
      /^(?:<{7}|={7}|>{7})(?: |$)/m.test(readFileSync(join(PROJECT, path), 'utf8')),
    );
    assert.deepEqual(marked, []);
  });

  test('every link leads somewhere', () => {
    const broken = documents.flatMap(linksOf).filter((link) => !resolves(link));
    assert.deepEqual(broken, []);
  });

  test('every npm script that they name exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'));
    const missing: string[] = [];
    for (const path of documents) {
      const text = readFileSync(join(PROJECT, path), 'utf8');
      for (const [, name] of text.matchAll(/\bnpm run ([a-z][\w:-]*)/g)) {
        if (name !== undefined && scripts[name] === undefined) missing.push(`${path}: npm run ${name}`);
      }
    }
    assert.deepEqual(missing, []);
  });
});
