// Keys that work in every view: `g` and a letter go to a view, Ctrl-K or Cmd-K opens the palette, `?` shows the keys. They leave fields
// of text and open dialogs alone.
import { useEffect, useRef } from 'react';
import { useLocation } from 'wouter';
import { NAVIGATION_ITEMS } from './navigation.ts';

/** The second key must follow within this time. */
const SECOND_KEY_MS = 1_500;

export interface KeyActions {
  readonly onPalette: () => void;
  readonly onKeys: () => void;
}

export function useAppKeys({ onPalette, onKeys }: KeyActions): void {
  const [, navigate] = useLocation();
  const actions = useRef({ onPalette, onKeys, navigate });
  actions.current = { onPalette, onKeys, navigate };
  useEffect(() => {
    let pressedAtMs = Number.NEGATIVE_INFINITY;
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
        event.preventDefault();
        actions.current.onPalette();
        return;
      }
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
      if (document.querySelector('[data-dialog]') !== null) return;
      if (event.key === '?') {
        event.preventDefault();
        actions.current.onKeys();
        return;
      }
      const second = event.timeStamp - pressedAtMs < SECOND_KEY_MS;
      pressedAtMs = Number.NEGATIVE_INFINITY;
      const item = second ? NAVIGATION_ITEMS.find(({ key }) => key === event.key) : undefined;
      if (item !== undefined) {
        event.preventDefault();
        actions.current.navigate(item.path);
      } else if (event.key === 'g') pressedAtMs = event.timeStamp;
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
}

/** Keys belong to what is being written, and to lists that are searched by their first letters. */
function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.closest('input, textarea, select, [role="menu"], [role="listbox"]') !== null)
  );
}
