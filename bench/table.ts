/**
 * A table of text, for the terminal and for Markdown. Pure.
 */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences that a reader of the figures needs. */
  readonly notes: readonly string[];
}

/** In plain text: columns of equal width, numbers to the right and words to the left. */
export function renderText(table: Table): string {
  const lines = [table.header, ...table.rows];
  const widths = table.header.map((_, column) => Math.max(...lines.map((row) => (row[column] ?? '').length)));
  const leftAligned = table.header.map((_, column) =>
    table.rows.some((row) => /^[a-z]{2}/i.test(row[column] ?? '')),
  );
  const render = (row: readonly string[]): string =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return leftAligned[column] ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  const notes = table.notes.map((note) => `  ${note}`);
  return [table.title, '', render(table.header), rule, ...table.rows.map(render), ...notes, ''].join('\n');
}

/** As GitHub-flavoured Markdown under a third-level heading. */
export function renderMarkdown(table: Table): string {
  const escaped = (cell: string): string => cell.replaceAll('|', '\\|');
  const render = (row: readonly string[]): string => `| ${row.map(escaped).join(' | ')} |`;
  const rule = `|${table.header.map(() => '---').join('|')}|`;
  const notes = table.notes.length === 0 ? [] : ['', ...table.notes.map((note) => `- ${note}`)];
  return [`### ${table.title}`, '', render(table.header), rule, ...table.rows.map(render), ...notes, ''].join(
    '\n',
  );
}
