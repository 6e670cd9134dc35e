// The guard between what other machines say and this machine's terminal: names, models' answers, errors, log lines. Pure.

/**
 * Text on one line, safe for a terminal: control characters (escape sequences begin with one), line separators and what
 * turns the direction of writing around (so that a name reads as another) become `�`.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu, '\u{fffd}');
}

/** Text for a terminal as it comes, line feeds and tabs kept: a model may have been taught escape sequences. */
export function printableLines(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, '\u{fffd}');
}
