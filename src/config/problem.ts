/**
 * What is wrong with a configuration, said so that it can be put right: where it stands, what was found there,
 * and what was expected. Secrets never appear in a problem.
 */

/** Where a value came from. */
export type Origin =
  /** `line` and `column` count from 1. */
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  /** `flag` is what was typed, without secrets, e.g. `--set default_pool_size=x`. */
  | { readonly kind: 'flag'; readonly flag: string }
  /** A value that the program itself supplied, or that is missing. */
  | { readonly kind: 'none' };

/** One thing that is wrong. */
export interface Problem {
  readonly origin: Origin;
  /** The setting's full name, e.g. `databases.app.port`; empty for the file as a whole. */
  readonly key: string;
  /** A sentence without a full stop: what was found, what was expected, what to do. */
  readonly message: string;
}

/** A configuration that is refused. Carries every problem, not only the first. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }

  /** True when nothing but flags is at fault: a usage error. */
  get onlyFlags(): boolean {
    return this.problems.every((problem) => problem.origin.kind === 'flag');
  }
}

/** `sluice.yaml:7:3: default_pool_size: found "many", expected a whole number from 1 to 100000` */
export function formatProblem(problem: Problem): string {
  const place = formatOrigin(problem.origin);
  return [place, problem.key, problem.message].filter((part) => part !== '').join(': ');
}

function formatOrigin(origin: Origin): string {
  if (origin.kind === 'file') return `${origin.file}:${origin.line}:${origin.column}`;
  return origin.kind === 'flag' ? origin.flag : '';
}

/** A path of keys as text: `databases.app.port`; parts that hold other characters are quoted. */
export function formatKey(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (/^[\w-]+$/.test(String(part)) ? String(part) : JSON.stringify(String(part))))
    .join('.');
}
