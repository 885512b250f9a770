/** Reads a YAML text into plain values, and remembers where each of them stands. */
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { OriginMap } from './origin-map.js';
import { ConfigError, type Origin, type Problem } from './problem.js';

const ALIAS_ADVICE = ' (a text that begins with * needs quotes: "*")';

/** Values as a file spells them, and their places. */
export interface ConfigTree {
  readonly values: Record<string, unknown>;
  readonly origins: OriginMap;
}

/**
 * @param file the name that problems show
 * @throws {ConfigError} with every syntax error, if the text isn't YAML or isn't a mapping
 */
export function readYaml(source: string, file: string): ConfigTree {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, merge: true });
  const originAt = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { kind: 'file', file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems = document.errors.map(
    (error): Problem => ({
      origin: originAt(error.pos[0]),
      key: '',
      message: explainSyntax(error.code, error.message),
    }),
  );
  if (problems.length > 0) throw new ConfigError(problems);

  const origins = new OriginMap();
  if (document.contents === null) return { values: {}, origins };
  if (!isMap(document.contents)) {
    const message = 'expected settings, one a line, like listen_port: 6432';
    throw new ConfigError([{ origin: originAt(0), key: '', message }]);
  }
  const unresolved = findUnresolvedAliases(document);
  if (unresolved.length > 0) {
    const message = `not valid YAML: there is no such anchor${ALIAS_ADVICE}`;
    throw new ConfigError(unresolved.map((offset) => ({ origin: originAt(offset), key: '', message })));
  }
  keepDigitsAsWritten(document.contents);
  recordOrigins(document.contents, [], origins, originAt);
  try {
    return { values: document.toJS({ maxAliasCount: 100 }) as Record<string, unknown>, origins };
  } catch (error) {
    // Too many aliases.
    throw new ConfigError([
      { origin: originAt(0), key: '', message: explainSyntax('', (error as Error).message) },
    ]);
  }
}

/** Where aliases stand that name no anchor: most often a text that was meant. */
function findUnresolvedAliases(document: Document.Parsed): number[] {
  const offsets: number[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined) offsets.push(alias.range?.[0] ?? 0);
    },
  });
  return offsets;
}

/** The library's sentence may quote the line, which may hold a secret: only its first line is used. */
function explainSyntax(code: string, message: string): string {
  const sentence = message.split('\n')[0]!.replace(/[.:]?\s*$/, '');
  const aboutAlias = code === 'BAD_ALIAS' || /\balias\b/i.test(sentence);
  return `not valid YAML: ${sentence}${aboutAlias ? ALIAS_ADVICE : ''}`;
}

/** `0770` and `0o770` stay text, because as decimal numbers they would mean something else than what is written. */
function keepDigitsAsWritten(root: Node): void {
  visit(root, {
    Scalar(_, scalar) {
      if (typeof scalar.value === 'number' && /^0o?\d/.test(scalar.source ?? ''))
        scalar.value = scalar.source;
    },
  });
}

function recordOrigins(
  node: Node,
  path: string[],
  origins: OriginMap,
  originAt: (offset: number) => Origin,
): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const keyPath = [...path, String(key.value ?? '')];
      origins.set(keyPath, originAt(key.range?.[0] ?? 0));
      if (value !== null) recordOrigins(value as Node, keyPath, origins, originAt);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      const itemPath = [...path, String(index)];
      origins.set(itemPath, originAt((item as Node).range?.[0] ?? 0));
      recordOrigins(item as Node, itemPath, origins, originAt);
    });
  }
}
