// The thin boundary: the only file of the main process that imports Electron. It decides nothing; what a window may do, where
// it may go and who may ask is decided by its callers.
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  app,
  BrowserWindow,
  dialog,
  ipcMain,
  Menu,
  type MenuItemConstructorOptions,
  Notification,
  nativeImage,
  nativeTheme,
  powerMonitor,
  protocol,
  screen,
  session,
  shell,
  Tray,
} from 'electron';
import electronUpdater from 'electron-updater';
import { z } from 'zod';
import type { ChooseFileOptions } from '../shared/bridge.ts';
import { HIDDEN_FLAG, linuxAutostart } from './autostart.ts';
import type {
  AppPort,
  DesktopPort,
  End,
  Host,
  MenuLine,
  PowerPort,
  UpdaterPort,
  WindowInit,
  WindowPort,
  WindowsPort,
} from './host.ts';
import { mayHave, mayRequest, webPreferences } from './web-preferences.ts';

export interface ElectronInit {
  readonly version: string;
  /** Folder of the pictures. */
  readonly images: string;
  /** Folder of the app's own data; undefined for the system's place. */
  readonly userData: string | undefined;
}

/** The real host. Must be made before the app is ready. */
export function createElectronHost(init: ElectronInit): Host {
  app.setName('Weft');
  // Not the default: on macOS that is the node's own data folder.
  app.setPath('userData', init.userData ?? join(app.getPath('appData'), 'Weft Desktop'));
  // The app lives in its tray.
  app.on('window-all-closed', () => undefined);
  app.on('web-contents-created', (_event, contents) => {
    contents.on('will-attach-webview', (event) => event.preventDefault());
    contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  });
  return {
    app: appPort(init),
    windows: windowsPort(),
    ipc: {
      handle: (channel, listener) =>
        ipcMain.handle(channel, ({ senderFrame }, ...args: unknown[]) =>
          listener(
            { url: senderFrame?.url ?? '', isMainFrame: senderFrame !== null && senderFrame.parent === null },
            args,
          ),
        ),
    },
    protocol: {
      declare: (scheme) =>
        protocol.registerSchemesAsPrivileged([
          { scheme, privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true } },
        ]),
      handle: (scheme, listener) => protocol.handle(scheme, listener),
    },
    power: powerPort(),
    desktop: desktopPort(init),
    updater: updaterPort(),
  };
}

function appPort({ version }: ElectronInit): AppPort {
  const autostart = linuxAutostart({ env: process.env, userFolder: homedir(), program: app.getPath('exe') });
  const isLinux = process.platform === 'linux';
  return {
    version,
    packaged: app.isPackaged,
    resources: process.resourcesPath,
    userData: app.getPath('userData'),
    logs: app.getPath('logs'),
    platform: process.platform,
    argv: process.argv,
    ready: () => app.whenReady(),
    onlyOne: () => app.requestSingleInstanceLock(),
    onSecond(listener) {
      const heard = (_event: unknown, argv: string[]): void => listener(argv);
      app.on('second-instance', heard);
      return () => app.off('second-instance', heard);
    },
    onOpenUrl(listener) {
      const heard = (event: { preventDefault(): void }, url: string): void => {
        event.preventDefault();
        listener(url);
      };
      app.on('open-url', heard);
      return () => app.off('open-url', heard);
    },
    onActivate(listener) {
      app.on('activate', listener);
      return () => app.off('activate', listener);
    },
    onQuit(listener) {
      let done = false;
      const heard = (event: { preventDefault(): void }): void => {
        if (done) return;
        event.preventDefault();
        void listener().finally(() => {
          done = true;
          app.quit();
        });
      };
      app.on('will-quit', heard);
      return () => app.off('will-quit', heard);
    },
    quit: () => app.quit(),
    startsAtLogin: () => (isLinux ? autostart.isOn() : app.getLoginItemSettings().openAtLogin),
    setStartAtLogin: (starts) =>
      isLinux ? autostart.set(starts) : app.setLoginItemSettings({ openAtLogin: starts, args: [HIDDEN_FLAG] }),
    claimScheme(scheme) {
      // In development the system would start a bare Electron.
      if (app.isPackaged) app.setAsDefaultProtocolClient(scheme);
    },
  };
}

function windowsPort(): WindowsPort {
  return {
    create: (init) => createWindow(init),
    workAreas: () => screen.getAllDisplays().map(({ workArea }) => workArea),
  };
}

function createWindow(init: WindowInit): WindowPort {
  const devTools = !app.isPackaged;
  denyRequests(devTools);
  const window = new BrowserWindow({
    ...init.bounds,
    minWidth: init.widthMin,
    minHeight: init.heightMin,
    title: init.title,
    backgroundColor: init.background,
    show: false,
    autoHideMenuBar: process.platform !== 'darwin',
    webPreferences: webPreferences({ preload: init.preload, args: init.args, devTools }),
  });
  const { webContents } = window;
  const stayHere = (event: { readonly url: string; preventDefault(): void }): void => {
    if (init.mayNavigate(event.url)) return;
    event.preventDefault();
    init.onOpen(event.url);
  };
  webContents.on('will-navigate', stayHere);
  webContents.on('will-redirect', stayHere);
  webContents.on('will-frame-navigate', (event) => {
    if (!init.mayNavigate(event.url)) event.preventDefault();
  });
  webContents.setWindowOpenHandler(({ url }) => {
    init.onOpen(url);
    return { action: 'deny' };
  });
  return {
    load: (url) => window.loadURL(url),
    reload: () => webContents.reload(),
    show: () => window.show(),
    focus: () => window.focus(),
    close: () => window.close(),
    isMinimized: () => window.isMinimized(),
    restore: () => window.restore(),
    isMaximized: () => window.isMaximized(),
    maximize: () => window.maximize(),
    bounds: () => window.getNormalBounds(),
    tell(channel, value) {
      if (!window.isDestroyed()) webContents.send(channel, value);
    },
    onReady(listener) {
      window.once('ready-to-show', listener);
      return () => window.off('ready-to-show', listener);
    },
    onMoved(listener) {
      window.on('resize', listener);
      window.on('move', listener);
      return () => {
        window.off('resize', listener);
        window.off('move', listener);
      };
    },
    onClose(listener) {
      const heard = (event: { preventDefault(): void }): void => {
        if (!listener()) event.preventDefault();
      };
      window.on('close', heard);
      return () => window.off('close', heard);
    },
    onClosed(listener) {
      window.once('closed', listener);
      return () => window.off('closed', listener);
    },
    onCrash(listener) {
      const heard = (_event: unknown, { reason }: { readonly reason: string }): void => {
        if (reason !== 'clean-exit') listener(reason);
      };
      webContents.on('render-process-gone', heard);
      return () => webContents.off('render-process-gone', heard);
    },
  };
}

/** Of the one session that all windows share; asking again changes nothing. */
function denyRequests(devTools: boolean): void {
  const { defaultSession } = session;
  defaultSession.setPermissionRequestHandler((_contents, permission, answer) => answer(mayHave(permission)));
  defaultSession.setPermissionCheckHandler((_contents, permission) => mayHave(permission));
  defaultSession.setDevicePermissionHandler(() => false);
  defaultSession.webRequest.onBeforeRequest(({ url }, answer) => answer({ cancel: !mayRequest(url, { devTools }) }));
}

function powerPort(): PowerPort {
  return {
    onBattery: () => powerMonitor.isOnBatteryPower(),
    onBatteryChange(listener) {
      powerMonitor.on('on-ac', listener);
      powerMonitor.on('on-battery', listener);
      return () => {
        powerMonitor.off('on-ac', listener);
        powerMonitor.off('on-battery', listener);
      };
    },
    idleSeconds: () => powerMonitor.getSystemIdleTime(),
    onResume(listener) {
      powerMonitor.on('resume', listener);
      return () => powerMonitor.off('resume', listener);
    },
  };
}

function desktopPort({ images }: ElectronInit): DesktopPort {
  const imageOf = (name: string) => {
    const isMac = process.platform === 'darwin';
    const image = nativeImage.createFromPath(join(images, `${name}${isMac ? 'Template' : ''}.png`));
    image.setTemplateImage(isMac);
    return image;
  };
  return {
    setMenu: (lines) => Menu.setApplicationMenu(menuOf(lines)),
    createTray(name) {
      const tray = new Tray(imageOf(name));
      return {
        setImage: (image) => tray.setImage(imageOf(image)),
        setTooltip: (text) => tray.setToolTip(text),
        setMenu: (lines) => tray.setContextMenu(menuOf(lines)),
        onClick(listener): End {
          // On macOS a click opens the menu.
          if (process.platform === 'darwin') return () => undefined;
          tray.on('click', listener);
          return () => tray.off('click', listener);
        },
        destroy: () => tray.destroy(),
      };
    },
    setTheme(theme) {
      nativeTheme.themeSource = theme;
    },
    isDark: () => nativeTheme.shouldUseDarkColors,
    notify({ title, body }, onClick) {
      if (!Notification.isSupported()) return;
      const notification = new Notification({ title, body });
      notification.once('click', onClick);
      notification.show();
    },
    openExternal: (url) => shell.openExternal(url),
    openFolder: (path) => shell.openPath(path),
    chooseFile,
    showError: (title, text) => dialog.showErrorBox(title, text),
  };
}

async function chooseFile({ title, kind, extensions, name }: ChooseFileOptions): Promise<string | undefined> {
  const filters = extensions === undefined ? [] : [{ name: extensions.join(', '), extensions: [...extensions] }];
  const shared = {
    filters,
    ...(title === undefined ? {} : { title }),
    ...(name === undefined ? {} : { defaultPath: name }),
  };
  if (kind === 'save') {
    const { canceled, filePath } = await dialog.showSaveDialog(shared);
    return canceled || filePath === '' ? undefined : filePath;
  }
  const properties = [kind === 'folder' ? ('openDirectory' as const) : ('openFile' as const)];
  const { canceled, filePaths } = await dialog.showOpenDialog({ ...shared, properties });
  return canceled ? undefined : filePaths[0];
}

function menuOf(lines: readonly MenuLine[]): Menu {
  return Menu.buildFromTemplate(lines.map(itemOf));
}

function itemOf(line: MenuLine): MenuItemConstructorOptions {
  switch (line.kind) {
    case 'separator':
      return { type: 'separator' };
    case 'role':
      return { role: line.role, ...(line.label === undefined ? {} : { label: line.label }) };
    case 'menu':
      return {
        label: line.label,
        ...(line.role === undefined ? {} : { role: line.role }),
        submenu: line.lines.map(itemOf),
      };
    case 'item': {
      const { label, enabled = true, checked, accelerator, onClick } = line;
      return {
        label,
        enabled,
        ...(checked === undefined ? {} : { type: 'checkbox' as const, checked }),
        ...(accelerator === undefined ? {} : { accelerator }),
        ...(onClick === undefined ? {} : { click: () => onClick() }),
      };
    }
  }
}

/** What the feed says beside what electron-updater knows of. */
const SignedInfo = z.object({ weftSignature: z.string().optional() });

function updaterPort(): UpdaterPort {
  const updater = () => {
    const { autoUpdater } = electronUpdater;
    autoUpdater.autoDownload = false;
    autoUpdater.autoInstallOnAppQuit = false;
    autoUpdater.allowDowngrade = false;
    autoUpdater.allowPrerelease = false;
    autoUpdater.disableWebInstaller = true;
    autoUpdater.logger = null;
    return autoUpdater;
  };
  return {
    async check() {
      const result = await updater().checkForUpdates();
      if (result === null || !result.isUpdateAvailable) return undefined;
      const { version, files } = result.updateInfo;
      const signed = SignedInfo.safeParse(result.updateInfo);
      return {
        version,
        files: files.map(({ url, sha512 }) => ({ url, sha512 })),
        signature: signed.data?.weftSignature,
      };
    },
    async download(onProgress) {
      const heard = ({ percent }: { readonly percent: number }): void => onProgress(percent / 100);
      updater().on('download-progress', heard);
      try {
        await updater().downloadUpdate();
      } finally {
        updater().off('download-progress', heard);
      }
    },
    install: () => updater().quitAndInstall(),
  };
}
