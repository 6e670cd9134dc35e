import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SILENT } from '../../../desktop/main/log.ts';
import { MainWindow } from '../../../desktop/main/main-window.ts';
import { mayHave, mayRequest, webPreferences } from '../../../desktop/main/web-preferences.ts';
import { FakeElectron } from '../support/fake-electron.ts';
import { newFolder } from '../support/homes.ts';

function setup(userData = newFolder()) {
  const electron = new FakeElectron({ userData });
  let nowMs = 0;
  const window = new MainWindow(
    { host: electron.host, log: SILENT, now: () => nowMs, openExternal: () => undefined },
    { preload: '/app/preload.cjs' },
  );
  return {
    electron,
    window,
    userData,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe('the window', () => {
  it('opens where it was, at the page that is asked for', () => {
    const first = setup();
    first.window.open();
    first.electron.window.place = { x: 40, y: 50, width: 900, height: 600 };
    first.electron.window.maximize();
    first.electron.window.close();
    const second = setup(first.userData);
    second.window.open('/settings');
    expect(second.electron.window.init.bounds).toEqual({ x: 40, y: 50, width: 900, height: 600 });
    expect(second.electron.window.maximized).toBe(true);
    expect(second.electron.window.url).toBe('app://weft/#/settings');
  });

  it('opens anyhow where nobody knows any more', () => {
    const { electron, window, userData } = setup();
    writeFileSync(join(userData, 'window.json'), '{"bounds":{"x":"left"}}');
    window.open();
    expect(electron.window.init.bounds).toEqual({ width: 1_280, height: 820 });
    electron.window.close();
    expect(JSON.parse(readFileSync(join(userData, 'window.json'), 'utf8'))).toHaveProperty('maximized', false);
  });

  it('that is there already comes to the front, and goes to the page', () => {
    const { electron, window } = setup();
    window.open();
    electron.window.minimized = true;
    window.open('/doctor');
    expect(electron.windows).toHaveLength(1);
    expect(electron.window).toMatchObject({ minimized: false, visible: true, focused: true });
    expect(electron.window.last('weft:navigate')).toBe('/doctor');
  });

  it('has the colour of the theme before its first paint, and is told the version', () => {
    const { electron, window } = setup();
    electron.dark = true;
    window.open();
    expect(electron.window.init.background).toBe('#131716');
    expect(electron.window.init.args).toEqual(['--weft-version=1.2.3']);
  });

  it('comes back when its page crashes, but not for ever', () => {
    const { electron, window, pass } = setup();
    window.open();
    const port = electron.window;
    for (let crash = 0; crash < 3; crash += 1) port.crashed.call('crashed');
    expect(port.reloads).toBe(3);
    port.crashed.call('crashed');
    expect(port.closed).toBe(true);
    expect(electron.errors).toHaveLength(1);
    window.open();
    for (let crash = 0; crash < 6; crash += 1) {
      pass(30_000);
      electron.window.crashed.call('oom');
    }
    expect(electron.window.reloads).toBe(6);
  });
});

describe('what a page may do', () => {
  it('is no more than a page of the web may', () => {
    expect(webPreferences({ preload: '/p.cjs', args: ['--a'], devTools: false })).toMatchObject({
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      webviewTag: false,
      devTools: false,
      additionalArguments: ['--a'],
    });
  });

  it.each(['media', 'geolocation', 'notifications', 'clipboard-read', 'openExternal', 'hid', 'usb', 'display-capture'])(
    'has no %s',
    (permission) => {
      expect(mayHave(permission)).toBe(false);
    },
  );

  it('copies text', () => {
    expect(mayHave('clipboard-sanitized-write')).toBe(true);
  });

  it.each([
    ['app://weft/api/v1/status', true],
    ['blob:app://weft/1', true],
    ['data:text/plain,x', true],
    ['https://example.org/', false],
    ['http://127.0.0.1:9338/', false],
    ['file:///etc/passwd', false],
    ['ws://127.0.0.1/', false],
    ['devtools://devtools/bundled/x.html', false],
    ['nonsense', false],
  ])('asks of %s: %s', (url, may) => {
    expect(mayRequest(url, { devTools: false })).toBe(may);
  });
});
