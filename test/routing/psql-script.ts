/** Takes the statements out of a script for psql, well enough for PostgreSQL's own tests. */
import { Lexer, TOKEN } from '../../src/sql/lexer.js';

/** psql's commands that send what stands before them. */
const SENDING = /\\(?:g|gx|gset|gexec|gdesc|crosstabview)\b[^']*$/;
const FROM_STDIN = /^copy\b[\s\S]*\bfrom\s+stdin\b/i;

/** The statements, each without its semicolon; not those with `:variables`, nor the data of COPY. */
export function statementsOf(script: string): string[] {
  const statements: string[] = [];
  let pending = '';
  let copying = false;
  for (const line of script.split('\n')) {
    if (copying) {
      copying = line !== '\\.';
      continue;
    }
    if (line.startsWith('\\')) {
      // A command between statements, or one that ends the statement before it.
      if (SENDING.test(line) && pending.trim() !== '') statements.push(pending);
      if (SENDING.test(line)) pending = '';
      continue;
    }
    const { complete, rest } = cut(`${pending}${line.replace(SENDING, ';')}\n`);
    statements.push(...complete);
    pending = rest;
    copying = complete.some((statement) => FROM_STDIN.test(withoutComments(statement)));
  }
  if (pending.trim() !== '') statements.push(pending);
  return statements
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '' && !hasVariable(statement));
}

/** Cuts at each semicolon that stands outside of quotes, comments and parentheses. */
function cut(text: string): { complete: string[]; rest: string } {
  const bytes = Buffer.from(text);
  const lexer = new Lexer();
  lexer.begin(bytes, 0, bytes.length);
  const complete: string[] = [];
  let begin = 0;
  let depth = 0;
  for (let token = lexer.next(); token !== TOKEN.END && token !== TOKEN.UNCERTAIN; token = lexer.next()) {
    if (token === TOKEN.OPEN) depth += 1;
    else if (token === TOKEN.CLOSE) depth -= 1;
    else if (token === TOKEN.SEMICOLON && depth <= 0) {
      complete.push(bytes.toString('utf8', begin, lexer.start));
      begin = lexer.position;
      depth = 0;
    }
  }
  return { complete, rest: bytes.toString('utf8', begin) };
}

function withoutComments(statement: string): string {
  return statement.replace(/--.*$/gm, '').trim();
}

function hasVariable(statement: string): boolean {
  return /(?<![:\w]):['"]?[a-z_]\w*['"]?/i.test(
    statement.replace(/'[^']*'/g, "''").replace(/\[[^\]]*\]/g, ''),
  );
}
