/** Why a file of the configuration could not be read, in a sentence. */
export function explainUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'this file may not be read: check its permissions';
  if (code === 'EISDIR') return 'this is a folder, not a file';
  return `this file could not be read (${message})`;
}
