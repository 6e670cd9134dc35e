// Everything that the main process uses of Electron, as one port: electron.ts has the real one, and tests a fake. Narrower
// than Electron's own API on purpose, so that what isn't here can't be used.
import type { ChooseFileOptions, Notice, Theme } from '../shared/bridge.ts';
import type { AskedChannel, Told, ToldChannel } from '../shared/channels.ts';

/** Ends a subscription. */
export type End = () => void;

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Host {
  readonly app: AppPort;
  readonly windows: WindowsPort;
  readonly ipc: IpcPort;
  readonly protocol: ProtocolPort;
  readonly power: PowerPort;
  readonly desktop: DesktopPort;
  readonly updater: UpdaterPort;
}

export interface AppPort {
  readonly version: string;
  /** True in a package, false in development. */
  readonly packaged: boolean;
  /** Folder of what was shipped beside the app. */
  readonly resources: string;
  /** Folder for preferences and the window's place. */
  readonly userData: string;
  readonly logs: string;
  readonly platform: NodeJS.Platform;
  /** Command line of this process. */
  readonly argv: readonly string[];
  ready(): Promise<void>;
  /** False where another app of this person runs; that one hears of it. */
  onlyOne(): boolean;
  onSecond(listener: (argv: readonly string[]) => void): End;
  /** macOS hands links over like this. */
  onOpenUrl(listener: (url: string) => void): End;
  /** The dock's icon was clicked. */
  onActivate(listener: () => void): End;
  /** Called when the app is about to end; the end waits for the promise. */
  onQuit(listener: () => Promise<void>): End;
  quit(): void;
  startsAtLogin(): boolean;
  setStartAtLogin(starts: boolean): void;
  /** Makes this app the one that opens links of the scheme. */
  claimScheme(scheme: string): void;
}

export interface WindowInit {
  readonly bounds: Rectangle | { readonly width: number; readonly height: number };
  readonly widthMin: number;
  readonly heightMin: number;
  readonly title: string;
  /** Absolute path of the bundled preload script. */
  readonly preload: string;
  /** Arguments of the renderer's process. */
  readonly args: readonly string[];
  /** Colour before the first paint. */
  readonly background: string;
  /** Decides on each page that this window is to go to, by itself or by a frame. */
  readonly mayNavigate: (url: string) => boolean;
  /** A page wants a window of its own: it never gets one. */
  readonly onOpen: (url: string) => void;
}

export interface WindowPort {
  load(url: string): Promise<void>;
  reload(): void;
  show(): void;
  focus(): void;
  close(): void;
  isMinimized(): boolean;
  restore(): void;
  isMaximized(): boolean;
  maximize(): void;
  /** Of the window as it is when it is not maximised. */
  bounds(): Rectangle;
  tell<Channel extends ToldChannel>(channel: Channel, value: Told[Channel]): void;
  /** The page has painted something. */
  onReady(listener: () => void): End;
  onMoved(listener: () => void): End;
  /** The person closes the window; false keeps it. */
  onClose(listener: () => boolean): End;
  onClosed(listener: () => void): End;
  /** The page's process has died. */
  onCrash(listener: (reason: string) => void): End;
}

export interface WindowsPort {
  /** Sandboxed, isolated, without Node; permissions are denied. */
  create(init: WindowInit): WindowPort;
  /** What of each display a window can use. */
  workAreas(): readonly Rectangle[];
}

/** Who sent a message. */
export interface Sender {
  /** Address of the page, or frame. */
  readonly url: string;
  readonly isMainFrame: boolean;
}

export interface IpcPort {
  /** Answers a channel; what comes in is unchecked. */
  handle(channel: AskedChannel, listener: (sender: Sender, args: readonly unknown[]) => Promise<unknown>): void;
}

export interface ProtocolPort {
  /** Before the app is ready: makes the scheme one like https, with an origin, fetch and streams. */
  declare(scheme: string): void;
  handle(scheme: string, listener: (request: Request) => Promise<Response>): void;
}

export interface PowerPort {
  onBattery(): boolean;
  onBatteryChange(listener: () => void): End;
  /** Seconds since keyboard or mouse were used. */
  idleSeconds(): number;
  /** The machine woke up. */
  onResume(listener: () => void): End;
}

/** A line of a menu. */
export type MenuLine =
  | { readonly kind: 'separator' }
  | { readonly kind: 'role'; readonly role: MenuRole; readonly label?: string }
  | {
      readonly kind: 'item';
      readonly label: string;
      readonly enabled?: boolean;
      /** Has a check mark, set or not. */
      readonly checked?: boolean;
      readonly accelerator?: string;
      readonly onClick?: () => void;
    }
  | { readonly kind: 'menu'; readonly label: string; readonly role?: MenuRole; readonly lines: readonly MenuLine[] };

/** Electron's standard entries, with the system's own words and keys. */
export type MenuRole =
  | 'appMenu'
  | 'about'
  | 'services'
  | 'hide'
  | 'hideOthers'
  | 'unhide'
  | 'undo'
  | 'redo'
  | 'cut'
  | 'copy'
  | 'paste'
  | 'selectAll'
  | 'reload'
  | 'toggleDevTools'
  | 'resetZoom'
  | 'zoomIn'
  | 'zoomOut'
  | 'togglefullscreen'
  | 'minimize'
  | 'zoom'
  | 'front'
  | 'window'
  | 'help'
  | 'close'
  | 'quit';

export interface TrayPort {
  /** @param image path of a picture in the resources, without the part for its scale */
  setImage(image: string): void;
  setTooltip(text: string): void;
  setMenu(lines: readonly MenuLine[]): void;
  /** The icon itself was clicked, where a click doesn't open the menu. */
  onClick(listener: () => void): End;
  destroy(): void;
}

export interface DesktopPort {
  setMenu(lines: readonly MenuLine[]): void;
  /** @throws Error where the desktop has no such place */
  createTray(image: string): TrayPort;
  setTheme(theme: Theme): void;
  isDark(): boolean;
  notify(notice: Notice, onClick: () => void): void;
  /** In the system's browser. */
  openExternal(url: string): Promise<void>;
  /** In the system's file manager. @returns what went wrong, or an empty string */
  openFolder(path: string): Promise<string>;
  chooseFile(options: ChooseFileOptions): Promise<string | undefined>;
  /** A window of the system's own, for when there is no page to show it. */
  showError(title: string, text: string): void;
}

/** What a feed says of the newest version. */
export interface UpdateOffer {
  readonly version: string;
  readonly files: readonly { readonly url: string; readonly sha512: string }[];
  /** Ed25519 over version and files, base64; see update-signature.ts. */
  readonly signature: string | undefined;
}

export interface UpdaterPort {
  /** @returns undefined where the feed has nothing newer @throws Error for a feed that can't be read */
  check(): Promise<UpdateOffer | undefined>;
  /** What {@link check} found; its digests are checked on the way. @param onProgress 0 to 1 */
  download(onProgress: (fraction: number) => void): Promise<void>;
  /** Ends the app. */
  install(): void;
}
