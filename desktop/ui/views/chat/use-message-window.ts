// The messages that stand in the page: a portion of the newest; older ones come in as the reader scrolls up, and go on the way back to
// the end.
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { OLDER_AHEAD_PX } from './limits.ts';
import type { Shown } from './message-tree.ts';
import { firstShown, portionBefore } from './message-window.ts';

export interface MessageWindow {
  readonly messages: readonly Shown[];
  readonly hasOlder: boolean;
  /** Stands before the messages while there are older ones: when it comes near, those come in. */
  readonly mark: RefObject<HTMLDivElement | null>;
  /** Back to the newest. */
  readonly toNewest: () => void;
}

export function useMessageWindow({
  key,
  branch,
  editing,
  scroller,
}: {
  /** Of what is shown: another one begins with its newest. */
  readonly key: string;
  readonly branch: readonly Shown[];
  readonly editing: string | undefined;
  readonly scroller: RefObject<HTMLElement | null>;
}): MessageWindow {
  const mark = useRef<HTMLDivElement>(null);
  // Counted from the oldest: what comes in at the end, or another branch, moves nothing that stands above it.
  const [reached, setReached] = useState({ key, first: portionBefore(branch, branch.length) });
  const first = firstShown(branch, reached.key === key ? reached.first : branch.length, editing);
  if (reached.key !== key) setReached({ key, first });

  useEffect(() => {
    const area = scroller.current;
    const marked = mark.current;
    if (first === 0 || area === null || marked === null) return;
    // A new one each time: it tells once where the mark is, also if it has not moved out of sight.
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        // Browsers hold the place by themselves, but not at the very top, and not all of them.
        const next = marked.nextElementSibling;
        const topOf = (): number => next?.getBoundingClientRect().top ?? 0;
        const top = topOf();
        flushSync(() => setReached({ key, first: portionBefore(branch, first) }));
        area.scrollTop += topOf() - top;
      },
      { root: area, rootMargin: `${OLDER_AHEAD_PX}px 0px 0px` },
    );
    observer.observe(marked);
    return () => observer.disconnect();
  }, [key, branch, first, scroller]);

  const toNewest = useCallback(() => setReached({ key, first: portionBefore(branch, branch.length) }), [key, branch]);
  return { messages: branch.slice(first), hasOlder: first > 0, mark, toNewest };
}
