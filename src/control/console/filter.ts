/** `WHERE ... ORDER BY ... LIMIT ...` behind a SHOW: PostgreSQL's rules for NULL, numbers and texts, on a few rows. */
import type { ConsoleColumn } from '../../core/console.js';
import { ConsoleError } from './console-error.js';
import type { TokenReader } from './token-reader.js';

/** A row of a table; values as text. */
export type Row = readonly (string | null)[];

type Value = string | number | boolean | null;

/** A condition or operand, evaluated for one row. */
type Expression = (row: Row) => Value;

/** What is behind the name of a table. */
export interface Filter {
  apply(rows: readonly Row[]): readonly Row[];
}

const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '>': (order) => order > 0,
  '<=': (order) => order <= 0,
  '>=': (order) => order >= 0,
};

/** Reads the clauses up to the end of the statement. @throws {ConsoleError} */
export function readFilter(
  reader: TokenReader,
  columns: readonly ConsoleColumn[],
  parameters: readonly (string | null)[],
): Filter {
  const grammar = new FilterGrammar(reader, columns, parameters);
  const condition = reader.word('WHERE') ? grammar.condition() : null;
  const orders = reader.word('ORDER') ? grammar.orders() : [];
  const limit = reader.word('LIMIT') ? grammar.limit() : null;
  reader.expectEnd();
  return {
    apply(rows) {
      const chosen = condition === null ? [...rows] : rows.filter((row) => condition(row) === true);
      chosen.sort((a, b) => {
        for (const { key, direction } of orders) {
          const order = compareForSorting(key(a), key(b)) * direction;
          if (order !== 0) return order;
        }
        return 0;
      });
      return limit === null ? chosen : chosen.slice(0, limit);
    },
  };
}

class FilterGrammar {
  private readonly reader: TokenReader;
  private readonly columns: readonly ConsoleColumn[];
  private readonly parameters: readonly (string | null)[];

  constructor(
    reader: TokenReader,
    columns: readonly ConsoleColumn[],
    parameters: readonly (string | null)[],
  ) {
    this.reader = reader;
    this.columns = columns;
    this.parameters = parameters;
  }

  condition(): Expression {
    let left = this.conjunction();
    while (this.reader.word('OR')) left = either(left, this.conjunction());
    return left;
  }

  private conjunction(): Expression {
    let left = this.negation();
    while (this.reader.word('AND')) left = both(left, this.negation());
    return left;
  }

  private negation(): Expression {
    if (!this.reader.word('NOT')) return this.comparison();
    return not(this.negation());
  }

  private comparison(): Expression {
    if (this.reader.sign('(')) {
      const inner = this.condition();
      this.reader.expectSign(')');
      return inner;
    }
    const left = this.operand();
    if (this.reader.word('IS')) {
      const negated = this.reader.word('NOT');
      if (!this.reader.word('NULL')) throw this.reader.unexpected();
      return (row) => (left(row) === null) !== negated;
    }
    const negated = this.reader.word('NOT');
    const positive = this.membership(left);
    if (positive !== null) return negated ? not(positive) : positive;
    if (negated) throw this.reader.unexpected();
    const { next } = this.reader;
    const test = next?.kind === 'sign' ? COMPARISONS[next.text] : undefined;
    if (test === undefined) return left;
    this.reader.take();
    const right = this.operand();
    return (row) => {
      const order = compare(left(row), right(row));
      return order === null ? null : test(order);
    };
  }

  /** `LIKE`, `ILIKE` and `IN`; null when it is none of them. */
  private membership(left: Expression): Expression | null {
    const isLike = this.reader.word('LIKE');
    if (isLike || this.reader.word('ILIKE')) {
      const right = this.operand();
      return (row) => like(left(row), right(row), isLike ? 's' : 'si');
    }
    if (!this.reader.word('IN')) return null;
    this.reader.expectSign('(');
    let found: Expression = equals(left, this.operand());
    while (this.reader.sign(',')) found = either(found, equals(left, this.operand()));
    this.reader.expectSign(')');
    return found;
  }

  private operand(): Expression {
    const token = this.reader.take();
    switch (token?.kind) {
      case 'string':
        return () => token.text;
      case 'number':
        return () => Number(token.text);
      case 'parameter': {
        const value = this.parameters[token.index - 1] ?? null;
        return () => value;
      }
      case 'word':
        return token.quoted ? this.column(token.text) : this.wordOperand(token.text.toLowerCase());
      default:
        throw new ConsoleError('syntax error in condition', {
          hint: "Write COLUMN = VALUE, like: SHOW POOLS WHERE database = 'app'.",
        });
    }
  }

  private wordOperand(word: string): Expression {
    if (word === 'null') return () => null;
    if (word === 'true' || word === 'false') return () => word === 'true';
    return this.column(word);
  }

  private column(name: string): Expression {
    const index = this.columns.findIndex((column) => column.name === name);
    if (index < 0) {
      throw new ConsoleError(`column "${name}" does not exist`, {
        sqlstate: '42703',
        hint: `The columns are ${this.columns.map((column) => column.name).join(', ')}.`,
      });
    }
    const { type } = this.columns[index]!;
    return (row) => {
      const value = row[index]!;
      if (value === null || type === 'text') return value;
      return type === 'bool' ? value === 't' : Number(value);
    };
  }

  orders(): { key: Expression; direction: 1 | -1 }[] {
    if (!this.reader.word('BY')) throw this.reader.unexpected();
    const orders: { key: Expression; direction: 1 | -1 }[] = [];
    do {
      const { next } = this.reader;
      const key = next?.kind === 'number' ? this.position() : this.operand();
      const isDescending = this.reader.word('DESC');
      if (!isDescending) this.reader.word('ASC');
      orders.push({ key, direction: isDescending ? -1 : 1 });
    } while (this.reader.sign(','));
    return orders;
  }

  private position(): Expression {
    const token = this.reader.take() as { readonly text: string };
    const column = this.columns[Number(token.text) - 1];
    if (column === undefined) throw new ConsoleError(`ORDER BY position ${token.text} is not in the table`);
    return this.column(column.name);
  }

  limit(): number {
    const token = this.reader.take();
    const value =
      token?.kind === 'parameter' ? this.parameters[token.index - 1] : (token as { text?: string })?.text;
    const limit = Number(value);
    if (!Number.isInteger(limit) || limit < 0) throw new ConsoleError('LIMIT must be a whole number');
    return limit;
  }
}

/** Numbers as numbers where both are, else as texts; null: unknown. */
function compare(left: Value, right: Value): number | null {
  if (left === null || right === null) return null;
  const isNumeric = typeof left === 'number' || typeof right === 'number';
  const [a, b] = isNumeric ? [Number(left), Number(right)] : [String(left), String(right)];
  if (isNumeric && (Number.isNaN(a) || Number.isNaN(b))) {
    throw new ConsoleError(`invalid input for a number: "${Number.isNaN(a) ? left : right}"`, {
      sqlstate: '22P02',
    });
  }
  return a < b ? -1 : Number(a > b);
}

/** As in PostgreSQL, NULL is greater than everything. */
function compareForSorting(left: Value, right: Value): number {
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  return compare(left, right) ?? 0;
}

function equals(left: Expression, right: Expression): Expression {
  return (row) => {
    const order = compare(left(row), right(row));
    return order === null ? null : order === 0;
  };
}

function like(value: Value, pattern: Value, flags: string): Value {
  if (value === null || pattern === null) return null;
  const source = String(pattern)
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('%', '.*')
    .replaceAll('_', '.');
  return new RegExp(`^${source}$`, flags).test(String(value));
}

function not(inner: Expression): Expression {
  return (row) => {
    const value = inner(row);
    return value === null ? null : value !== true;
  };
}

function both(left: Expression, right: Expression): Expression {
  return (row) => {
    const values = [left(row), right(row)];
    if (values.includes(false)) return false;
    return values.includes(null) ? null : values.every((value) => value === true);
  };
}

function either(left: Expression, right: Expression): Expression {
  return (row) => {
    const values = [left(row), right(row)];
    if (values.includes(true)) return true;
    return values.includes(null) ? null : false;
  };
}
