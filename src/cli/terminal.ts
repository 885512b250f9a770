/** What the terminal wants. */

/** Colours go to a terminal only, and not where NO_COLOR is set (no-color.org) or the terminal has none. */
export function colourAllowed(
  output: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return output.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
}
