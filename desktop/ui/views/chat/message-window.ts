// Which messages of a branch stand in the page: the newest, and older ones as far up as the reader has gone. Pure.
import { PORTION_LENGTH, PORTION_MESSAGES } from './limits.ts';
import type { Shown } from './message-tree.ts';

/** Where the portion begins that ends before this message: so many of them, fewer where they are long, at least one. */
export function portionBefore(branch: readonly Shown[], end: number): number {
  let first = end;
  for (let length = 0; first > 0 && end - first < PORTION_MESSAGES && length < PORTION_LENGTH; first -= 1) {
    length += branch[first - 1]?.message.content.length ?? 0;
  }
  return first;
}

/**
 * The first message that stands in the page. The newest portion always does, and so does a message that is being edited: what is
 * written there must not go.
 * @param reached how far up the reader has gone
 */
export function firstShown(branch: readonly Shown[], reached: number, editing: string | undefined): number {
  const first = Math.min(reached, portionBefore(branch, branch.length));
  const edited = editing === undefined ? -1 : branch.findIndex(({ message }) => message.id === editing);
  return edited === -1 ? first : Math.min(first, edited);
}
