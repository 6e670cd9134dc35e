// Electron as the main process sees it, without Electron: windows, tray, menus and messages are kept for the test to look at,
// and what a person or the system would do is a method.
import type {
  Host,
  MenuLine,
  Rectangle,
  Sender,
  UpdateOffer,
  WindowInit,
  WindowPort,
} from '../../../desktop/main/host.ts';
import type { Notice, Theme } from '../../../desktop/shared/bridge.ts';
import { APP_ORIGIN } from '../../../desktop/shared/bridge.ts';
import type { Outcome } from '../../../desktop/shared/channels.ts';

/** Listeners of one kind. */
class Listeners<Args extends readonly unknown[], Result = void> {
  readonly #all = new Set<(...args: Args) => Result>();

  add = (listener: (...args: Args) => Result): (() => void) => {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  };

  call(...args: Args): Result[] {
    return [...this.#all].map((listener) => listener(...args));
  }
}

export class FakeWindow implements WindowPort {
  readonly init: WindowInit;
  readonly told: { readonly channel: string; readonly value: unknown }[] = [];
  url: string | undefined;
  visible = false;
  minimized = false;
  maximized = false;
  focused = false;
  closed = false;
  reloads = 0;
  place: Rectangle;
  readonly ready = new Listeners<[]>();
  readonly moved = new Listeners<[]>();
  readonly closing = new Listeners<[], boolean>();
  readonly gone = new Listeners<[]>();
  readonly crashed = new Listeners<[string]>();
  /** What the page is told. */
  readonly heard = new Listeners<[string, unknown]>();
  onReady = this.ready.add;
  onMoved = this.moved.add;
  onClose = this.closing.add;
  onClosed = this.gone.add;
  onCrash = this.crashed.add;
  onTold = this.heard.add;

  constructor(init: WindowInit) {
    this.init = init;
    this.place = { x: 0, y: 0, ...init.bounds };
  }

  async load(url: string): Promise<void> {
    this.url = url;
  }
  reload(): void {
    this.reloads += 1;
  }
  show(): void {
    this.visible = true;
  }
  focus(): void {
    this.focused = true;
  }
  /** As a person does, too. */
  close(): void {
    if (this.closing.call().includes(false)) return;
    this.visible = false;
    this.closed = true;
    this.gone.call();
  }
  isMinimized(): boolean {
    return this.minimized;
  }
  restore(): void {
    this.minimized = false;
  }
  isMaximized(): boolean {
    return this.maximized;
  }
  maximize(): void {
    this.maximized = true;
  }
  bounds(): Rectangle {
    return this.place;
  }
  tell(channel: string, value: unknown): void {
    this.told.push({ channel, value });
    this.heard.call(channel, value);
  }
  /** What was told last on a channel. */
  last(channel: string): unknown {
    return this.told.findLast((one) => one.channel === channel)?.value;
  }
}

export interface FakeElectronInit {
  readonly userData: string;
  readonly platform?: NodeJS.Platform;
  readonly packaged?: boolean;
  readonly argv?: readonly string[];
  /** Another app of this person runs. */
  readonly second?: boolean;
  readonly hasTray?: boolean;
}

/** The person's page, which may send messages. */
export const OWN_PAGE: Sender = { url: `${APP_ORIGIN}/#/`, isMainFrame: true };

export class FakeElectron {
  readonly host: Host;
  readonly windows: FakeWindow[] = [];
  readonly notices: Notice[] = [];
  readonly opened: string[] = [];
  readonly folders: string[] = [];
  readonly errors: { readonly title: string; readonly text: string }[] = [];
  readonly schemes: string[] = [];
  readonly claimed: string[] = [];
  /** In the order of what happened. */
  readonly steps: string[] = [];
  workAreas: Rectangle[] = [{ x: 0, y: 0, width: 1_920, height: 1_040 }];
  theme: Theme = 'system';
  dark = false;
  menu: readonly MenuLine[] = [];
  tray: { image: string; tooltip: string; lines: readonly MenuLine[] } | undefined;
  startsAtLogin = false;
  battery = false;
  idleSeconds = 0;
  chosen: string | undefined;
  offer: UpdateOffer | undefined;
  feedError: Error | undefined;
  downloadError: Error | undefined;
  installed = 0;
  quits = 0;
  readonly trayClicked = new Listeners<[]>();
  readonly second = new Listeners<[readonly string[]]>();
  readonly urls = new Listeners<[string]>();
  readonly activated = new Listeners<[]>();
  readonly quitting = new Listeners<[], Promise<void>>();
  readonly batteryChanged = new Listeners<[]>();
  readonly resumed = new Listeners<[]>();
  readonly #channels = new Map<string, (sender: Sender, args: readonly unknown[]) => Promise<unknown>>();
  readonly #noticeClicks: (() => void)[] = [];
  #answer: ((request: Request) => Promise<Response>) | undefined;

  constructor(init: FakeElectronInit) {
    const step = (name: string): void => void this.steps.push(name);
    this.host = {
      app: {
        version: '1.2.3',
        packaged: init.packaged ?? false,
        resources: '/resources',
        userData: init.userData,
        logs: `${init.userData}/logs`,
        platform: init.platform ?? 'linux',
        argv: init.argv ?? ['weft'],
        ready: async () => step('ready'),
        onlyOne: () => init.second !== true,
        onSecond: this.second.add,
        onOpenUrl: this.urls.add,
        onActivate: this.activated.add,
        onQuit: this.quitting.add,
        quit: () => {
          this.quits += 1;
        },
        startsAtLogin: () => this.startsAtLogin,
        setStartAtLogin: (starts) => {
          this.startsAtLogin = starts;
        },
        claimScheme: (scheme) => void this.claimed.push(scheme),
      },
      windows: {
        create: (windowInit) => {
          const window = new FakeWindow(windowInit);
          this.windows.push(window);
          return window;
        },
        workAreas: () => this.workAreas,
      },
      ipc: { handle: (channel, listener) => void this.#channels.set(channel, listener) },
      protocol: {
        declare: (scheme) => {
          step('declare');
          this.schemes.push(scheme);
        },
        handle: (_scheme, listener) => {
          this.#answer = listener;
        },
      },
      power: {
        onBattery: () => this.battery,
        onBatteryChange: this.batteryChanged.add,
        idleSeconds: () => this.idleSeconds,
        onResume: this.resumed.add,
      },
      desktop: {
        setMenu: (lines) => {
          this.menu = lines;
        },
        createTray: (image) => {
          if (init.hasTray === false) throw new Error('no tray here');
          const tray = { image, tooltip: '', lines: [] as readonly MenuLine[] };
          this.tray = tray;
          return {
            setImage: (next) => {
              tray.image = next;
            },
            setTooltip: (text) => {
              tray.tooltip = text;
            },
            setMenu: (lines) => {
              tray.lines = lines;
            },
            onClick: this.trayClicked.add,
            destroy: () => {
              this.tray = undefined;
            },
          };
        },
        setTheme: (theme) => {
          this.theme = theme;
        },
        isDark: () => this.dark,
        notify: (notice, onClick) => {
          this.notices.push(notice);
          this.#noticeClicks.push(onClick);
        },
        openExternal: async (url) => void this.opened.push(url),
        openFolder: async (path) => {
          this.folders.push(path);
          return '';
        },
        chooseFile: async () => this.chosen,
        showError: (title, text) => void this.errors.push({ title, text }),
      },
      updater: {
        check: async () => {
          if (this.feedError !== undefined) throw this.feedError;
          return this.offer;
        },
        download: async (onProgress) => {
          onProgress(0.5);
          if (this.downloadError !== undefined) throw this.downloadError;
          onProgress(1);
        },
        install: () => {
          this.installed += 1;
        },
      },
    };
  }

  /** The window that is open. */
  get window(): FakeWindow {
    const window = this.windows.findLast(({ closed }) => !closed);
    if (window === undefined) throw new Error('No window is open.');
    return window;
  }

  /** Channels that are answered. */
  get channels(): readonly string[] {
    return [...this.#channels.keys()];
  }

  /** A page sends a message. @throws Error for a channel that nobody answers */
  async send(channel: string, args: readonly unknown[] = [], sender: Sender = OWN_PAGE): Promise<Outcome<unknown>> {
    const listener = this.#channels.get(channel);
    if (listener === undefined) throw new Error(`Nobody answers ${channel}.`);
    return (await listener(sender, args)) as Outcome<unknown>;
  }

  /** A page asks for an address of the app. */
  fetch(path: string, init?: RequestInit): Promise<Response> {
    if (this.#answer === undefined) throw new Error('The protocol is not there yet.');
    return this.#answer(new Request(APP_ORIGIN + path, init));
  }

  clickNotice(index: number): void {
    this.#noticeClicks.at(index)?.();
  }

  /** A person chooses from the tray's menu. @throws Error where there is no such line */
  clickTray(label: string): void {
    const line = this.tray?.lines.find((one) => one.kind === 'item' && one.label === label);
    if (line?.kind !== 'item' || line.onClick === undefined) throw new Error(`The tray has no "${label}".`);
    line.onClick();
  }

  /** A person, or the system, ends the app. */
  async quit(): Promise<void> {
    await Promise.all(this.quitting.call());
  }
}
