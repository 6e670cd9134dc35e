// What the desktop app gives the pages beside the node's API: `window.weft`, exposed by the preload script and absent in a
// browser. Pages use it for what a browser can't do; everything else they ask the node.

/** The pages' own origin in the desktop window; a browser has the node's. */
export const APP_SCHEME = 'app';
export const APP_HOST = 'weft';
export const APP_ORIGIN = `${APP_SCHEME}://${APP_HOST}`;

/** Scheme of the links that open the app: `weft://join/TICKET`. */
export const LINK_SCHEME = 'weft';

/**
 * What is known of this machine's node. `adopted`: it runs, and something else started it. `failed`: it doesn't serve, and
 * `detail` says why.
 */
export type NodeState = 'starting' | 'adopted' | 'running' | 'stopped' | 'failed';

/** Why nothing is computed here for other members: asked for by hand, or by a preference. */
export type PauseReason = 'hand' | 'battery' | 'metered' | 'working';

export interface Preferences {
  readonly startAtLogin: boolean;
  /** Sharing pauses while the machine runs on its battery. */
  readonly pauseOnBattery: boolean;
  /** Sharing pauses on a network that is paid by the byte, where the system knows. */
  readonly pauseOnMetered: boolean;
  /** Sharing pauses while somebody uses keyboard or mouse. */
  readonly pauseWhileWorking: boolean;
  readonly notifications: boolean;
  readonly theme: Theme;
}
export type Theme = 'system' | 'light' | 'dark';

/** Where an update stands. */
export type UpdateState =
  | { readonly phase: 'off'; readonly detail: string }
  | { readonly phase: 'idle'; readonly checkedAtMs?: number }
  | { readonly phase: 'checking' }
  | { readonly phase: 'available'; readonly version: string }
  | { readonly phase: 'downloading'; readonly version: string; readonly fraction: number }
  | { readonly phase: 'ready'; readonly version: string }
  | { readonly phase: 'failed'; readonly detail: string };

export interface DesktopState {
  readonly node: NodeState;
  /** Base URL of the node's API, while it is known. */
  readonly api?: string;
  /** Why the node is not running, or what is odd about it; for people. */
  readonly detail?: string;
  readonly preferences: Preferences;
  readonly sharing: 'on' | 'paused';
  /** Empty while sharing is on. */
  readonly pausedBy: readonly PauseReason[];
  /** What hinders the app from pausing, where it should and can't. */
  readonly sharingDetail?: string;
  readonly update: UpdateState;
}

/** A link that was opened outside. Nothing is done with it before the person has agreed on the page. */
export interface DeepLink {
  readonly kind: 'join';
  /** Has the form of a ticket; whether it is good only the node can say. */
  readonly ticket: string;
}

export interface ChooseFileOptions {
  readonly title?: string;
  readonly kind: 'file' | 'folder' | 'save';
  /** Endings without the dot. */
  readonly extensions?: readonly string[];
  /** Suggested name, of a file to be saved. */
  readonly name?: string;
}

export interface Notice {
  readonly title: string;
  readonly body: string;
}

/** Every promise rejects with an Error whose message can be shown. */
export interface WeftBridge {
  readonly platform: string;
  readonly versions: { readonly app: string; readonly electron: string; readonly chrome: string };
  state(): Promise<DesktopState>;
  /** Calls back with each new state. Returns what ends the subscription. */
  onState(listener: (state: DesktopState) => void): () => void;
  startNode(): Promise<void>;
  /** Rejects for a node that the app didn't start. */
  stopNode(): Promise<void>;
  /** Rejects for a node that the app didn't start. */
  restartNode(): Promise<void>;
  setPreferences(changes: Partial<Preferences>): Promise<void>;
  /** By hand; `on` doesn't end a pause that a preference asks for. */
  setSharing(sharing: 'on' | 'paused'): Promise<void>;
  /** Opens the folder of the node's output in the system's file manager. */
  openLogs(): Promise<void>;
  /** Opens an http, https or mailto address in the system's browser. */
  openExternal(url: string): Promise<void>;
  notify(notice: Notice): Promise<void>;
  /** Calls back with links that are opened from now on, and with one that opened the app. */
  onDeepLink(listener: (link: DeepLink) => void): () => void;
  /** Calls back when the application menu or the tray asks for a page, such as `/settings`. */
  onNavigate(listener: (path: string) => void): () => void;
  checkForUpdates(): Promise<void>;
  downloadUpdate(): Promise<void>;
  /** Ends the app, installs what was downloaded, and starts it again. */
  installUpdate(): Promise<void>;
  /** Absolute path of what was chosen; undefined when the person chose nothing. */
  chooseFile(options: ChooseFileOptions): Promise<string | undefined>;
}

declare global {
  interface Window {
    readonly weft?: WeftBridge;
  }
}
