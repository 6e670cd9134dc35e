// Whether a person reads the rows of a list that grows at its top: scrolled away from there, with the focus on a row, or with the
// pointer down on one. Rows should stay where they are meanwhile.
import { type FocusEvent, type PointerEvent, type RefObject, useEffect, useRef } from 'react';

/** Nearer to the top than this counts as there. */
const AT_TOP_PX = 24;

export interface Reading {
  /** To be called when the list was scrolled. */
  look(): void;
  readonly handlers: {
    onFocus(): void;
    onBlur(event: FocusEvent<HTMLElement>): void;
    onPointerDown(event: PointerEvent<HTMLElement>): void;
  };
}

export function useReading(
  scroller: RefObject<HTMLElement | null>,
  onReading: ((reading: boolean) => void) | undefined,
): Reading {
  const pressed = useRef(false);
  // A list that is gone is read by nobody.
  useEffect(() => () => onReading?.(false), [onReading]);
  const look = (): void => {
    const list = scroller.current;
    // Asked of the document: a row with the focus that was scrolled away has left it without a blur.
    if (list !== null)
      onReading?.(pressed.current || list.scrollTop > AT_TOP_PX || within(list, document.activeElement));
  };
  return {
    look,
    handlers: {
      onFocus: look,
      onBlur: ({ currentTarget, relatedTarget }) => {
        // From one row to the next it has not left.
        if (!within(currentTarget, relatedTarget)) look();
      },
      onPointerDown: ({ currentTarget, target }) => {
        // Itself: its scroll bar.
        if (target === currentTarget) return;
        pressed.current = true;
        look();
        const released = new AbortController();
        const release = (): void => {
          released.abort();
          // The click that belongs to it is still to come, and means the row that was under it.
          setTimeout(() => {
            pressed.current = false;
            look();
          });
        };
        addEventListener('pointerup', release, { signal: released.signal });
        addEventListener('pointercancel', release, { signal: released.signal });
      },
    },
  };
}

const within = (list: HTMLElement, element: EventTarget | null): boolean =>
  element instanceof Element && element !== list && list.contains(element);
