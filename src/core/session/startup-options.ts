/**
 * The startup parameter `options`: command-line switches for the session (PostgreSQL documentation, "Environment for a
 * session", PGOPTIONS). Of these only settings make sense through a gateway: `-c name=value` and `--name=value`.
 */

/** What PostgreSQL's parser of switches takes for white space. */
const SPACES = new Set([' ', '\t', '\n', '\v', '\f', '\r']);

/**
 * The settings that `text` names, in its order; of one that is given twice the last value counts. Null when it holds
 * anything else than settings. White space separates switches, a backslash takes the next character as it is.
 */
export function parseStartupOptions(text: string): Map<string, string> | null {
  const settings = new Map<string, string>();
  const words = splitWords(text);
  for (let i = 0; i < words.length; i++) {
    let assignment: string;
    const word = words[i]!;
    if (word === '-c') assignment = words[++i] ?? '';
    else if (word.startsWith('-c') || word.startsWith('--')) assignment = word.slice(2);
    else return null;
    const equals = assignment.indexOf('=');
    if (equals <= 0) return null;
    // As in PostgreSQL's ParseLongOption: no name of a setting has a dash.
    settings.set(assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1));
  }
  return settings;
}

function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (SPACES.has(character)) {
      if (word !== null) words.push(word);
      word = null;
      continue;
    }
    if (character === '\\') i += 1;
    word = (word ?? '') + (character === '\\' ? (text[i] ?? '') : character);
  }
  if (word !== null) words.push(word);
  return words;
}
