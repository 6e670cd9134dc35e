// What the window's page may do at all: nothing that a page of the web couldn't, and less. Apart from electron.ts, so that a
// test can hold it.

export interface WebPreferencesInit {
  /** Absolute path of the preload script. */
  readonly preload: string;
  readonly args: readonly string[];
  /** The browser's tools for developers; in a package there are none. */
  readonly devTools: boolean;
}

const FIXED = {
  contextIsolation: true,
  sandbox: true,
  nodeIntegration: false,
  nodeIntegrationInWorker: false,
  nodeIntegrationInSubFrames: false,
  webSecurity: true,
  allowRunningInsecureContent: false,
  experimentalFeatures: false,
  webviewTag: false,
  navigateOnDragDrop: false,
  safeDialogs: true,
  // It would fetch dictionaries from elsewhere.
  spellcheck: false,
} as const;

/** In the form of Electron's `webPreferences`. */
export function webPreferences({ preload, args, devTools }: WebPreferencesInit) {
  return { ...FIXED, preload, additionalArguments: [...args], devTools };
}

/** Copy buttons write plain text; nothing else that a page can ask for is given. */
const PERMISSIONS: ReadonlySet<string> = new Set(['clipboard-sanitized-write']);

export const mayHave = (permission: string): boolean => PERMISSIONS.has(permission);

/** Where a page's requests may go at all: the app, and what the page itself has made. Everything else never leaves. */
export function mayRequest(url: string, { devTools }: Pick<WebPreferencesInit, 'devTools'>): boolean {
  const scheme = URL.parse(url)?.protocol;
  return scheme === 'app:' || scheme === 'blob:' || scheme === 'data:' || (devTools && scheme === 'devtools:');
}
