// The one window: made when it is wanted, shown when it has something to show, remembered where it was, brought back when
// its page crashes. Closing it hides nothing else: the node goes on, and the tray has the app.
import { join } from 'node:path';
import { APP_ORIGIN } from '../shared/bridge.ts';
import type { Told, ToldChannel } from '../shared/channels.ts';
import type { Host, WindowPort } from './host.ts';
import { CRASHES_MAX, CRASHES_WITHIN_MS, WINDOW_SAVE_MS } from './limits.ts';
import type { Log } from './log.ts';
import { readJson, writeJson } from './small-file.ts';
import { WINDOW_FILE, WINDOW_SIZE_MIN, WindowPlace, windowBounds } from './window-place.ts';

export interface MainWindowComponents {
  readonly host: Pick<Host, 'windows' | 'desktop' | 'app'>;
  readonly log: Log;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
  /** A page wants an address outside to be opened. */
  readonly openExternal: (url: string) => void;
}

export interface MainWindowInit {
  /** Absolute path of the preload script. */
  readonly preload: string;
}

/** As the pages' own background, so that nothing flashes. */
const BACKGROUND = { light: '#fbfcfc', dark: '#131716' } as const;

export class MainWindow {
  readonly #components: MainWindowComponents;
  readonly #init: MainWindowInit;
  readonly #placePath: string;
  #window: WindowPort | undefined;
  #saving: NodeJS.Timeout | undefined;
  #crashes: number[] = [];

  constructor(components: MainWindowComponents, init: MainWindowInit) {
    this.#components = components;
    this.#init = init;
    this.#placePath = join(components.host.app.userData, WINDOW_FILE);
  }

  get isOpen(): boolean {
    return this.#window !== undefined;
  }

  /** Brings the window to the front; makes one where there is none. @param path of a page, such as `/settings` */
  open(path = ''): void {
    const window = this.#window;
    if (window === undefined) {
      this.#create(path);
      return;
    }
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
    if (path !== '') window.tell('weft:navigate', path);
  }

  tell<Channel extends ToldChannel>(channel: Channel, value: Told[Channel]): void {
    this.#window?.tell(channel, value);
  }

  close(): void {
    this.#window?.close();
  }

  #create(path: string): void {
    const { host, log, openExternal } = this.#components;
    const last = readJson(this.#placePath, WindowPlace);
    const window = host.windows.create({
      bounds: windowBounds(last, host.windows.workAreas()),
      widthMin: WINDOW_SIZE_MIN.width,
      heightMin: WINDOW_SIZE_MIN.height,
      title: 'Weft',
      preload: this.#init.preload,
      args: [`--weft-version=${host.app.version}`],
      background: BACKGROUND[host.desktop.isDark() ? 'dark' : 'light'],
      mayNavigate: isOwnPage,
      onOpen: openExternal,
    });
    this.#window = window;
    if (last?.maximized === true) window.maximize();
    window.onReady(() => window.show());
    window.onMoved(() => this.#saveSoon(window));
    window.onClose(() => {
      this.#save(window);
      return true;
    });
    window.onClosed(() => {
      clearTimeout(this.#saving);
      if (this.#window === window) this.#window = undefined;
    });
    window.onCrash((reason) => this.#recover(window, reason));
    const page = path === '' ? '' : `#${path}`;
    window.load(`${APP_ORIGIN}/${page}`).catch((error: unknown) => {
      log.warn({ error }, 'the pages could not be opened');
    });
  }

  #recover(window: WindowPort, reason: string): void {
    const { log, now, host } = this.#components;
    const nowMs = now();
    this.#crashes = [...this.#crashes.filter((atMs) => nowMs - atMs < CRASHES_WITHIN_MS), nowMs];
    log.warn({ reason, crashes: this.#crashes.length }, 'the page has crashed');
    if (this.#crashes.length <= CRASHES_MAX) {
      window.reload();
      return;
    }
    this.#crashes = [];
    window.close();
    host.desktop.showError(
      'The window has crashed several times',
      'Your node goes on running. Open the window again from the tray, or use the pages in a browser: `weft dashboard`.',
    );
  }

  #saveSoon(window: WindowPort): void {
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.#save(window), WINDOW_SAVE_MS);
    this.#saving.unref();
  }

  #save(window: WindowPort): void {
    const place: WindowPlace = { bounds: window.bounds(), maximized: window.isMaximized() };
    try {
      writeJson(this.#placePath, place);
    } catch (error) {
      this.#components.log.warn({ error }, 'the place of the window could not be kept');
    }
  }
}

/** True for pages of the app. What they hold of others is text; a link of theirs leads out of the window. */
export function isOwnPage(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && url.username === '' && `${url.protocol}//${url.host}` === APP_ORIGIN;
}
