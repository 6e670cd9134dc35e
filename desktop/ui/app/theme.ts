// Light, dark, or as the system has it: decides `data-theme` on <html>. The choice is this device's own: the desktop app keeps it with
// its preferences, a browser in its storage.
import { useSyncExternalStore } from 'react';
import { bridge } from './bridge.ts';

export type ThemeChoice = 'system' | 'light' | 'dark';
export type Theme = 'light' | 'dark';

const KEY = 'weft.theme';
const CHOICES: readonly ThemeChoice[] = ['system', 'light', 'dark'];

const dark = matchMedia('(prefers-color-scheme: dark)');
let choice: ThemeChoice = read();
const listeners = new Set<() => void>();

function read(): ThemeChoice {
  try {
    const kept = localStorage.getItem(KEY) as ThemeChoice | null;
    return kept !== null && CHOICES.includes(kept) ? kept : 'system';
  } catch {
    return 'system'; // storage may be forbidden
  }
}

const current = (): Theme => (choice === 'system' ? (dark.matches ? 'dark' : 'light') : choice);

function apply(): void {
  document.documentElement.dataset.theme = current();
  for (const listener of listeners) listener();
}

/** Takes the theme over into the document, now and whenever the system changes its own. */
export function startTheme(): void {
  apply();
  dark.addEventListener('change', apply);
  void bridge()
    ?.state()
    .then(
      ({ preferences }) => {
        choice = preferences.theme;
        apply();
      },
      () => undefined, // the desktop app says so elsewhere; the kept choice holds
    );
}

/** @param next for this device, from now on */
export function setThemeChoice(next: ThemeChoice): void {
  choice = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  void bridge()?.setPreferences({ theme: next });
  apply();
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** What is shown now. */
export const useTheme = (): Theme => useSyncExternalStore(subscribe, current);

/** What was chosen. */
export const useThemeChoice = (): ThemeChoice => useSyncExternalStore(subscribe, () => choice);
