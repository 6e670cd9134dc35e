// Keeps a scrolled area at its end while something is added there, until the reader scrolls up; then it stays where it is.
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { AT_END_PX } from './limits.ts';

export interface StickToEnd {
  readonly scroller: RefObject<HTMLElement | null>;
  /** Its height is what grows. */
  readonly content: RefObject<HTMLDivElement | null>;
  readonly onScroll: () => void;
  readonly atEnd: boolean;
  readonly toEnd: () => void;
}

/** @param key of what is shown: another one begins at its end */
export function useStickToEnd(key: string): StickToEnd {
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  const lastTop = useRef(0);
  const [atEnd, setAtEnd] = useState(true);
  const jump = useCallback(() => {
    const area = scroller.current;
    if (area === null) return;
    area.scrollTop = area.scrollHeight;
    lastTop.current = area.scrollTop;
  }, []);
  const toEnd = useCallback(() => {
    sticks.current = true;
    setAtEnd(true);
    jump();
  }, [jump]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation begins at its end, before it is painted
  useLayoutEffect(() => toEnd(), [key, toEnd]);
  useEffect(() => {
    const grown = content.current;
    if (grown === null) return;
    const observer = new ResizeObserver(() => sticks.current && jump());
    observer.observe(grown);
    if (scroller.current !== null) observer.observe(scroller.current);
    return () => observer.disconnect();
  }, [jump]);
  const onScroll = useCallback(() => {
    const area = scroller.current;
    if (area === null) return;
    const left = area.scrollHeight - area.clientHeight - area.scrollTop;
    // What grows moves the end away; only going up is the reader's own doing.
    if (left < AT_END_PX) sticks.current = true;
    else if (area.scrollTop < lastTop.current) sticks.current = false;
    lastTop.current = area.scrollTop;
    setAtEnd(sticks.current);
  }, []);
  return { scroller, content, onScroll, atEnd, toEnd };
}
