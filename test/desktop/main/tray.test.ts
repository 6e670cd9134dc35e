import { describe, expect, it } from 'vitest';
import type { MenuLine } from '../../../desktop/main/host.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import { applicationMenu } from '../../../desktop/main/menu.ts';
import { Tray, trayImage, trayLines } from '../../../desktop/main/tray.ts';
import type { DesktopState } from '../../../desktop/shared/bridge.ts';
import { FakeElectron } from '../support/fake-electron.ts';
import { newFolder } from '../support/homes.ts';

const STATE: DesktopState = {
  node: 'running',
  preferences: {
    startAtLogin: false,
    pauseOnBattery: true,
    pauseOnMetered: true,
    pauseWhileWorking: false,
    notifications: true,
    theme: 'system',
  },
  sharing: 'on',
  pausedBy: [],
  update: { phase: 'idle' },
};
const nothing = () => undefined;
const ACTIONS = { open: nothing, setSharing: nothing, startNode: nothing, quit: nothing };
const labels = (lines: readonly MenuLine[]): string[] =>
  lines.flatMap((line) => ('label' in line && line.label !== undefined ? [line.label] : []));

describe('the tray', () => {
  it('shows at a glance what is served, to how many peers', () => {
    expect(labels(trayLines(STATE, { peers: 1, served: 12 }, ACTIONS))).toEqual([
      'Weft: Running',
      '1 peer connected',
      '12 requests served for others',
      'Open Weft',
      'Pause sharing',
      'Settings',
      'Quit Weft',
    ]);
  });

  it('says why sharing is paused, and checks only what a hand has done', () => {
    const paused = { ...STATE, sharing: 'paused', pausedBy: ['battery', 'metered', 'working'] } as const;
    const lines = trayLines(paused, { peers: 0, served: 0 }, ACTIONS);
    expect(labels(lines)).toEqual(
      expect.arrayContaining(['Paused: on battery', 'Paused: metered network', 'Paused: you are working here']),
    );
    const pause = (state: DesktopState) =>
      trayLines(state, { peers: 0, served: 0 }, ACTIONS).find(
        (line) => line.kind === 'item' && line.label === 'Pause sharing',
      );
    expect(pause(paused)).toMatchObject({ checked: false });
    expect(pause({ ...STATE, sharing: 'paused', pausedBy: ['hand'] })).toMatchObject({ checked: true });
  });

  it.each([
    ['running', 'tray'],
    ['adopted', 'tray'],
    ['starting', 'tray'],
    ['stopped', 'tray-failed'],
    ['failed', 'tray-failed'],
  ] as const)('has a picture for %s', (node, image) => {
    expect(trayImage({ ...STATE, node })).toBe(image);
  });

  it('offers to start a node that does not run', () => {
    const lines = trayLines({ ...STATE, node: 'failed' }, { peers: 0, served: 0 }, ACTIONS);
    expect(labels(lines)).toContain('Start the node');
    expect(labels(lines)).not.toContain('Pause sharing');
  });

  it('leaves a menu alone that says the same', () => {
    const electron = new FakeElectron({ userData: newFolder() });
    const tray = new Tray({ desktop: electron.host.desktop, log: SILENT, actions: ACTIONS });
    tray.start();
    tray.show(STATE, { peers: 1, served: 0 });
    const { lines } = electron.tray ?? {};
    tray.show({ ...STATE }, { peers: 1, served: 0 });
    expect(electron.tray?.lines).toBe(lines);
    tray.show(STATE, { peers: 2, served: 0 });
    expect(electron.tray?.lines).not.toBe(lines);
    tray.stop();
    expect(electron.tray).toBeUndefined();
  });

  it('may be missing', () => {
    const electron = new FakeElectron({ userData: newFolder(), hasTray: false });
    const tray = new Tray({ desktop: electron.host.desktop, log: SILENT, actions: ACTIONS });
    tray.start();
    expect(tray.isThere).toBe(false);
    tray.show(STATE, { peers: 1, served: 0 });
    tray.stop();
  });
});

describe('the application menu', () => {
  const menu = (platform: NodeJS.Platform, developer: boolean) =>
    applicationMenu({ open: nothing, openLogs: nothing }, { platform, developer });
  const roles = (lines: readonly MenuLine[]): string[] =>
    lines.flatMap((line) =>
      line.kind === 'menu' ? roles(line.lines) : line.kind === 'role' ? [line.role as string] : [],
    );

  it.each(['linux', 'darwin', 'win32'] as const)('has the standard entries on %s', (platform) => {
    expect(roles(menu(platform, false))).toEqual(
      expect.arrayContaining(['undo', 'cut', 'copy', 'paste', 'selectAll', 'minimize', 'close', 'quit', 'about']),
    );
  });

  it('has tools for developers in a checkout only', () => {
    expect(roles(menu('linux', true))).toContain('toggleDevTools');
    expect(roles(menu('linux', false))).not.toContain('toggleDevTools');
  });

  it('has no key twice', () => {
    const keys = (lines: readonly MenuLine[]): string[] =>
      lines.flatMap((line) =>
        line.kind === 'menu' ? keys(line.lines) : line.kind === 'item' && line.accelerator ? [line.accelerator] : [],
      );
    const all = keys(menu('linux', true));
    expect(new Set(all).size).toBe(all.length);
  });
});
