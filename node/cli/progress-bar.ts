// One line that says how much is done: a bar, percent, and what else there is to say. Pure.
import { BAR_COLUMNS_MAX, BAR_COLUMNS_MIN } from './limits.ts';
import { textWidth } from './text-width.ts';

/**
 * `██████░░░░   45 %  48.9 MB of 109 MB  8 s left`: what doesn't fit is left out from the end, the bar last but one.
 * @param percent 0 to 100
 * @param measures behind it, the most telling first
 */
export function barLine(percent: number, measures: readonly string[], columns: number): string {
  const parts = [`${String(percent).padStart(3)} %`, ...measures];
  while (parts.length > 1 && textWidth(parts.join('  ')) + 2 + BAR_COLUMNS_MIN > columns) parts.pop();
  const text = parts.join('  ');
  const width = Math.min(BAR_COLUMNS_MAX, columns - textWidth(text) - 2);
  if (width < BAR_COLUMNS_MIN) return text.trimStart();
  const filled = Math.floor((width * percent) / 100);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)}  ${text}`;
}
