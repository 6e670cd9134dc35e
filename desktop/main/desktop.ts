// Composition root of the app: start reading here. Everything of Electron comes in by the host, so that a test puts together
// the same app around a fake one.
import { APP_SCHEME, type DeepLink, type DesktopState, LINK_SCHEME, type Preferences } from '../shared/bridge.ts';
import { AppProtocol } from './app-protocol.ts';
import { linkAmong, parseDeepLink } from './deep-link.ts';
import { externalUrl } from './external.ts';
import { type Environment, homeFolder, isHeld, readKey, readRecord } from './home.ts';
import type { Host } from './host.ts';
import { answerPages, type Handlers } from './ipc.ts';
import { QUIT_MS_MAX } from './limits.ts';
import type { Log } from './log.ts';
import { MainWindow } from './main-window.ts';
import { applicationMenu } from './menu.ts';
import { isMetered } from './network.ts';
import { type MeshView, NodeEvents } from './node-events.ts';
import { NodeLink, nodeAnswers } from './node-link.ts';
import type { NodeStarter } from './node-process.ts';
import { NodeSupervisor, type SupervisorLimits } from './node-supervisor.ts';
import { Notices } from './notices.ts';
import { Pausing } from './pausing.ts';
import { PreferenceBook } from './preferences.ts';
import { shownText } from './text.ts';
import { Tray } from './tray.ts';
import { uiFiles } from './ui-files.ts';
import { Updates } from './updates.ts';

export interface DesktopComponents {
  readonly host: Host;
  readonly log: Log;
  readonly starter: NodeStarter;
  /** @default asks the system */
  readonly isMetered?: () => Promise<boolean | undefined>;
}

export interface DesktopInit {
  readonly env: Environment;
  /** Folder of the built pages. */
  readonly pages: string;
  /** Absolute path of the preload script. */
  readonly preload: string;
  /** Ed25519 key that updates are checked with, base64. */
  readonly updateKey: string | undefined;
  /** Started by the system at login: no window is opened. */
  readonly hidden: boolean;
  /** Tests shorten the waits. */
  readonly supervisor?: Partial<SupervisorLimits>;
}

export class Desktop {
  readonly #host: Host;
  readonly #log: Log;
  readonly #init: DesktopInit;
  readonly #preferences: PreferenceBook;
  readonly #supervisor: NodeSupervisor;
  readonly #pausing: Pausing;
  readonly #events: NodeEvents;
  readonly #updates: Updates;
  readonly #notices: Notices;
  readonly #window: MainWindow;
  readonly #tray: Tray;
  readonly #protocol: AppProtocol;
  #mesh: MeshView = { peers: 0, served: 0 };
  /** A link that no page has taken yet. */
  #link: DeepLink | undefined;
  #toldFailure = false;
  #stopped: Promise<void> | undefined;

  constructor(components: DesktopComponents, init: DesktopInit) {
    const { host, log, starter } = components;
    this.#host = host;
    this.#log = log;
    this.#init = init;
    const { app, desktop, power } = host;
    const now = (): number => performance.now();
    const home = homeFolder({ env: init.env, platform: app.platform });
    this.#preferences = new PreferenceBook({ folder: app.userData, startsAtLogin: () => app.startsAtLogin() });
    this.#supervisor = new NodeSupervisor(
      {
        log,
        starter,
        now,
        home: { isHeld: () => isHeld(home), record: () => readRecord(home) },
        answers: nodeAnswers,
        // A signal ends a process on Windows at once, whatever it is doing.
        askToStop: app.platform === 'win32' ? async () => void (await link.ask('POST', '/api/v1/stop', {})) : undefined,
      },
      init.supervisor,
    );
    const link = new NodeLink({
      isHeld: () => isHeld(home),
      readKey: () => readKey(home),
      api: () => this.#supervisor.view.api,
      givenKey: init.env.WEFT_API_KEY || undefined,
    });
    this.#pausing = new Pausing({
      power,
      log,
      preferences: () => this.#preferences.preferences,
      byHand: () => this.#preferences.pausedByHand,
      isMetered: components.isMetered ?? (() => isMetered(app.platform)),
      tellNode: async (paused) => void (await link.ask('POST', '/api/v1/sharing', { paused })),
    });
    this.#notices = new Notices({ desktop, now, wanted: () => this.#preferences.preferences.notifications });
    this.#events = new NodeEvents({
      link,
      log,
      onJoined: (name) =>
        this.#notices.show({ title: 'A member joined', body: `${shownText(name)} is part of the mesh now.` }, () =>
          this.#window.open('/access'),
        ),
      onChange: (mesh) => {
        this.#mesh = mesh;
        this.#tray.show(this.state, mesh);
      },
    });
    this.#updates = new Updates(
      {
        updater: host.updater,
        log,
        wallNow: () => Date.now(),
        onAvailable: (version) =>
          this.#notices.show({ title: 'An update is there', body: `Weft ${version} can be downloaded.` }, () =>
            this.#window.open('/settings'),
          ),
      },
      { publicKey: init.updateKey, packaged: app.packaged },
    );
    this.#window = new MainWindow(
      { host, log, now, openExternal: (url) => void this.#openExternal(url).catch(() => undefined) },
      { preload: init.preload },
    );
    this.#tray = new Tray({
      desktop,
      log,
      actions: {
        open: (path) => this.#window.open(path),
        setSharing: (sharing) => this.#setSharing(sharing),
        startNode: () => this.#supervisor.start(),
        quit: () => app.quit(),
      },
    });
    this.#protocol = new AppProtocol({ link, files: uiFiles(init.pages) });
  }

  get state(): DesktopState {
    return {
      ...this.#supervisor.view,
      ...this.#pausing.view,
      preferences: this.#preferences.preferences,
      update: this.#updates.state,
    };
  }

  /**
   * Starts the app; the node's start isn't waited for.
   * @returns false where another app of this person runs, which has been told, and this one is to end
   */
  async start(): Promise<boolean> {
    const { app, protocol, desktop } = this.#host;
    if (!app.onlyOne()) return false;
    protocol.declare(APP_SCHEME);
    app.onSecond((argv) => this.#second(argv));
    app.onOpenUrl((url) => this.#openLink(parseDeepLink(url)));
    app.onActivate(() => this.#window.open());
    app.onQuit(() => this.stop());
    await app.ready();
    protocol.handle(APP_SCHEME, (request) => this.#protocol.answer(request));
    answerPages({ ipc: this.#host.ipc, log: this.#log, handlers: this.#handlers() });
    app.claimScheme(LINK_SCHEME);
    desktop.setTheme(this.#preferences.preferences.theme);
    desktop.setMenu(
      applicationMenu(
        {
          open: (path) => this.#window.open(path),
          openLogs: () => void desktop.openFolder(app.logs),
        },
        { platform: app.platform, developer: !app.packaged },
      ),
    );
    this.#tray.start();
    this.#supervisor.onChange(() => this.#nodeChanged());
    this.#pausing.onChange(() => this.#changed());
    this.#updates.onChange(() => this.#changed());
    this.#supervisor.start();
    this.#pausing.start();
    this.#updates.start();
    this.#changed();
    this.#openLink(linkAmong(app.argv));
    // Without a tray, a hidden app could never be found.
    if (!this.#init.hidden || !this.#tray.isThere) this.#window.open();
    return true;
  }

  /** Ends what it started, within a deadline. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#updates.stop();
    this.#events.stop();
    let overdue: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      overdue = setTimeout(resolve, QUIT_MS_MAX);
    });
    await Promise.race([deadline, this.#pausing.stop().then(() => this.#supervisor.stop())]);
    clearTimeout(overdue);
    this.#tray.stop();
  }

  #nodeChanged(): void {
    const { node, detail } = this.#supervisor.view;
    const serves = node === 'running' || node === 'adopted';
    this.#pausing.nodeServes(serves);
    this.#events.nodeServes(serves);
    if (node === 'failed' && !this.#toldFailure) {
      this.#notices.show({ title: 'The node is not running', body: detail ?? '' }, () => this.#window.open());
    }
    // Once for each failure, however often it is tried again.
    this.#toldFailure = node === 'failed' || (this.#toldFailure && node === 'starting');
    this.#changed();
  }

  #changed(): void {
    const { state } = this;
    this.#window.tell('weft:state-changed', state);
    this.#tray.show(state, this.#mesh);
  }

  #second(argv: readonly string[]): void {
    this.#openLink(linkAmong(argv));
    this.#window.open();
  }

  /** Handed to the page, which asks the person. */
  #openLink(link: DeepLink | undefined): void {
    if (link === undefined) return;
    this.#link = link;
    this.#window.open();
    this.#window.tell('weft:link-opened', null);
  }

  #setSharing(sharing: 'on' | 'paused'): void {
    this.#preferences.change({ pausedByHand: sharing === 'paused' });
    this.#pausing.look();
    this.#changed();
  }

  #setPreferences(changes: Partial<Preferences>): void {
    const { app, desktop } = this.#host;
    this.#preferences.change(changes);
    if (changes.startAtLogin !== undefined) app.setStartAtLogin(changes.startAtLogin);
    if (changes.theme !== undefined) desktop.setTheme(changes.theme);
    this.#pausing.look();
    this.#changed();
  }

  async #openExternal(text: string): Promise<void> {
    const url = externalUrl(text);
    if (url === undefined) throw new Error('Only web and mail addresses are opened outside of the app.');
    await this.#host.desktop.openExternal(url);
  }

  #handlers(): Handlers {
    const { app, desktop } = this.#host;
    return {
      'weft:state': () => this.state,
      'weft:start-node': () => void this.#supervisor.start(),
      'weft:stop-node': async () => void (await this.#supervisor.stopNode()),
      'weft:restart-node': async () => void (await this.#supervisor.restartNode()),
      'weft:set-preferences': (changes) => void this.#setPreferences(changes),
      'weft:set-sharing': (sharing) => void this.#setSharing(sharing),
      'weft:open-logs': async () => {
        const problem = await desktop.openFolder(app.logs);
        if (problem !== '') throw new Error(`The folder ${app.logs} could not be opened: ${problem}`);
        return undefined;
      },
      'weft:open-external': async (url) => void (await this.#openExternal(url)),
      'weft:notify': (notice) => void this.#notices.show(notice, () => this.#window.open()),
      'weft:take-link': () => {
        const link = this.#link;
        this.#link = undefined;
        return link;
      },
      'weft:check-for-updates': async () => void (await this.#updates.check()),
      'weft:download-update': async () => void (await this.#updates.download()),
      'weft:install-update': () => void this.#updates.install(),
      'weft:choose-file': (options) => desktop.chooseFile(options),
    };
  }
}
