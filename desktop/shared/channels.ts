// The one map of messages between pages and main process: the preload script sends no other, the main process hears no other.
import type { ChooseFileOptions, DeepLink, DesktopState, Notice, Preferences } from './bridge.ts';

/** Asked by the page, answered by the main process. */
export interface Asked {
  'weft:state': { readonly args: readonly []; readonly result: DesktopState };
  'weft:start-node': { readonly args: readonly []; readonly result: undefined };
  'weft:stop-node': { readonly args: readonly []; readonly result: undefined };
  'weft:restart-node': { readonly args: readonly []; readonly result: undefined };
  'weft:set-preferences': { readonly args: readonly [Partial<Preferences>]; readonly result: undefined };
  'weft:set-sharing': { readonly args: readonly ['on' | 'paused']; readonly result: undefined };
  'weft:open-logs': { readonly args: readonly []; readonly result: undefined };
  'weft:open-external': { readonly args: readonly [string]; readonly result: undefined };
  'weft:notify': { readonly args: readonly [Notice]; readonly result: undefined };
  /** Gives the link that is waiting, once. */
  'weft:take-link': { readonly args: readonly []; readonly result: DeepLink | undefined };
  'weft:check-for-updates': { readonly args: readonly []; readonly result: undefined };
  'weft:download-update': { readonly args: readonly []; readonly result: undefined };
  'weft:install-update': { readonly args: readonly []; readonly result: undefined };
  'weft:choose-file': { readonly args: readonly [ChooseFileOptions]; readonly result: string | undefined };
}
export type AskedChannel = keyof Asked;

/** Told by the main process. */
export interface Told {
  'weft:state-changed': DesktopState;
  /** A link is waiting to be taken. */
  'weft:link-opened': null;
  'weft:navigate': string;
}
export type ToldChannel = keyof Told;

/**
 * How an answer travels: Electron would put words of its own before the message of a thrown error, and print a stack.
 */
export type Outcome<Value> = { readonly value: Value } | { readonly problem: string };
