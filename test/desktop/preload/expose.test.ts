import { describe, expect, it } from 'vitest';
import { answerPages, type Handlers } from '../../../desktop/main/ipc.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import { exposeBridge } from '../../../desktop/preload/expose.ts';
import type { WeftBridge } from '../../../desktop/shared/bridge.ts';
import type { AskedChannel } from '../../../desktop/shared/channels.ts';
import { FakeElectron } from '../support/fake-electron.ts';
import { newFolder } from '../support/homes.ts';

/** The bridge of a page, with the main process' own checks behind it. */
function setup(handlers: Partial<Handlers> = {}) {
  const electron = new FakeElectron({ userData: newFolder() });
  const asked: string[] = [];
  const all = new Proxy(handlers as Handlers, {
    get: (target, channel: AskedChannel) =>
      target[channel] ??
      ((...args: readonly unknown[]) => {
        asked.push(`${channel} ${JSON.stringify(args)}`);
      }),
  });
  answerPages({ ipc: electron.host.ipc, log: SILENT, handlers: all });
  const listeners = new Map<string, Set<(value: unknown) => void>>();
  const exposed: Record<string, WeftBridge> = {};
  exposeBridge({
    expose: (name, bridge) => {
      exposed[name] = bridge;
    },
    invoke: (channel, ...args) => electron.send(channel, args),
    on(channel, listener) {
      const all = listeners.get(channel) ?? new Set();
      listeners.set(channel, all.add(listener));
      return () => all.delete(listener);
    },
    appVersion: '1.2.3',
    platform: 'linux',
    versions: { electron: '45.4.1', chrome: '150.0.0.0', node: '24.0.0' },
  });
  const tell = (channel: string, value: unknown): void => {
    for (const listener of [...(listeners.get(channel) ?? [])]) listener(value);
  };
  return { bridge: exposed.weft as WeftBridge, exposed, asked, tell, electron };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('window.weft', () => {
  it('is all that is exposed, and asks each channel of the map in a form that the main process takes', async () => {
    const { bridge, exposed, asked, electron } = setup();
    expect(Object.keys(exposed)).toEqual(['weft']);
    expect(bridge.versions).toEqual({ app: '1.2.3', electron: '45.4.1', chrome: '150.0.0.0' });
    await bridge.state();
    await bridge.startNode();
    await bridge.stopNode();
    await bridge.restartNode();
    await bridge.setPreferences({ theme: 'light' });
    await bridge.setSharing('paused');
    await bridge.openLogs();
    await bridge.openExternal('https://example.org/');
    await bridge.notify({ title: 'a', body: 'b' });
    await bridge.checkForUpdates();
    await bridge.downloadUpdate();
    await bridge.installUpdate();
    await bridge.chooseFile({ kind: 'save', name: 'chat.json', extensions: ['json'] });
    bridge.onDeepLink(() => undefined);
    await settle();
    expect(new Set(asked.map((line) => line.split(' ')[0]))).toEqual(new Set(electron.channels));
  });

  it('rejects with the sentence of the main process', async () => {
    const { bridge } = setup({
      'weft:stop-node': () => {
        throw new Error('This node was not started by the app.');
      },
    });
    await expect(bridge.stopNode()).rejects.toThrow(/^This node was not started by the app\.$/);
    await expect(bridge.setPreferences({ theme: 'pink' as 'dark' })).rejects.toThrow('form');
  });

  it('tells states until the page has enough', () => {
    const { bridge, tell } = setup();
    const seen: unknown[] = [];
    const end = bridge.onState((state) => seen.push(state));
    tell('weft:state-changed', 1);
    end();
    tell('weft:state-changed', 2);
    expect(seen).toEqual([1]);
  });

  it('gives a link that came before the page, and those that come later, once each', async () => {
    const waiting: string[] = ['first'];
    const { bridge, tell } = setup({
      'weft:take-link': () => {
        const ticket = waiting.shift();
        return ticket === undefined ? undefined : { kind: 'join', ticket };
      },
    });
    const seen: string[] = [];
    // As React tries an effect: taken back in the same breath, and made again.
    bridge.onDeepLink(() => expect.unreachable('nobody listens there'))();
    const end = bridge.onDeepLink(({ ticket }) => seen.push(ticket));
    await settle();
    waiting.push('second');
    tell('weft:link-opened', null);
    await settle();
    end();
    waiting.push('third');
    tell('weft:link-opened', null);
    await settle();
    expect(seen).toEqual(['first', 'second']);
    expect(waiting).toEqual(['third']);
  });
});
