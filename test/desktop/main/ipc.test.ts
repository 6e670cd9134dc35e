import { describe, expect, it } from 'vitest';
import type { Sender } from '../../../desktop/main/host.ts';
import { answerPages, type Handlers, isTrusted } from '../../../desktop/main/ipc.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import { FakeElectron, OWN_PAGE } from '../support/fake-electron.ts';
import { newFolder } from '../support/homes.ts';

interface Setup {
  readonly electron: FakeElectron;
  readonly calls: { readonly channel: string; readonly args: readonly unknown[] }[];
}

/** Every channel, with a note of what got through to what stands behind it. */
function setup(trusts?: (sender: Sender) => boolean, failure?: Error): Setup {
  const electron = new FakeElectron({ userData: newFolder() });
  const calls: Setup['calls'] = [];
  const handlers = new Proxy({} as Handlers, {
    get:
      (_target, channel: string) =>
      (...args: readonly unknown[]) => {
        calls.push({ channel, args });
        if (failure !== undefined) throw failure;
        return 'done';
      },
  });
  answerPages({
    ipc: electron.host.ipc,
    log: SILENT,
    handlers,
    ...(trusts === undefined ? {} : { isTrusted: trusts }),
  });
  return { electron, calls };
}

const GOOD: Readonly<Record<string, readonly unknown[]>> = {
  'weft:state': [],
  'weft:start-node': [],
  'weft:stop-node': [],
  'weft:restart-node': [],
  'weft:set-preferences': [{ theme: 'dark' }],
  'weft:set-sharing': ['paused'],
  'weft:open-logs': [],
  'weft:open-external': ['https://example.org/'],
  'weft:notify': [{ title: 'A model is here', body: 'smollm2' }],
  'weft:take-link': [],
  'weft:check-for-updates': [],
  'weft:download-update': [],
  'weft:install-update': [],
  'weft:choose-file': [{ kind: 'file', extensions: ['json'] }],
};

it('answers each channel of the map, and no other', async () => {
  const { electron, calls } = setup();
  expect([...electron.channels].sort()).toEqual(Object.keys(GOOD).sort());
  for (const [channel, args] of Object.entries(GOOD)) {
    expect(await electron.send(channel, args)).toEqual({ value: 'done' });
    expect(calls.at(-1)).toEqual({ channel, args });
  }
});

describe('the sender', () => {
  const STRANGERS: readonly [string, Sender][] = [
    ['a page of the web', { url: 'https://evil.example/', isMainFrame: true }],
    ['a host that only begins alike', { url: 'app://weft.evil.example/', isMainFrame: true }],
    ['a name before the host', { url: 'app://weft@evil.example/', isMainFrame: true }],
    ['another scheme of that host', { url: 'http://weft/', isMainFrame: true }],
    ['a file', { url: 'file:///app/index.html', isMainFrame: true }],
    ['a frame in the page', { url: 'app://weft/', isMainFrame: false }],
    ['a page that is gone', { url: '', isMainFrame: true }],
  ];

  it.each(STRANGERS)('is refused: %s', async (_what, sender) => {
    const { electron, calls } = setup();
    for (const [channel, args] of Object.entries(GOOD)) {
      expect(await electron.send(channel, args, sender)).toEqual({ problem: 'This page may not ask that.' });
    }
    expect(calls).toEqual([]);
  });

  it.each(STRANGERS)('would be heard without the check: %s', async (_what, sender) => {
    const { electron, calls } = setup(() => true);
    await electron.send('weft:stop-node', [], sender);
    expect(calls).toHaveLength(1);
  });

  it('is trusted as the page itself, wherever in the app it is', () => {
    expect(isTrusted(OWN_PAGE)).toBe(true);
    expect(isTrusted({ url: 'app://weft/#/chat/1', isMainFrame: true })).toBe(true);
  });
});

describe('arguments', () => {
  it.each<[string, readonly unknown[]]>([
    ['weft:state', ['more']],
    ['weft:stop-node', [{}]],
    ['weft:set-preferences', []],
    ['weft:set-preferences', [{ theme: 'pink' }]],
    ['weft:set-preferences', [{ pausedByHand: true }]],
    ['weft:set-preferences', [{ startAtLogin: 'yes' }]],
    ['weft:set-preferences', [JSON.parse('{"__proto__":{"theme":"dark"},"x":1}')]],
    ['weft:set-sharing', ['off']],
    ['weft:set-sharing', [true]],
    ['weft:open-external', [['https://example.org/']]],
    ['weft:open-external', ['x'.repeat(10_000)]],
    ['weft:notify', [{ title: 'a' }]],
    ['weft:notify', [{ title: 'a', body: 'b', icon: '/etc/passwd' }]],
    ['weft:notify', [{ title: 'a'.repeat(10_000), body: 'b' }]],
    ['weft:choose-file', [{ kind: 'anything' }]],
    ['weft:choose-file', [{ kind: 'save', name: '../../.bashrc' }]],
    ['weft:choose-file', [{ kind: 'file', extensions: ['*'] }]],
  ])('of a wrong form are refused: %s %j', async (channel, args) => {
    const { electron, calls } = setup();
    expect(await electron.send(channel, args)).toEqual({
      problem: 'The page asked in a form that is not known.',
    });
    expect(calls).toEqual([]);
  });
});

it('tells the page what went wrong in one sentence, without a stack', async () => {
  const { electron } = setup(undefined, new Error('This node was not started by the app.'));
  expect(await electron.send('weft:stop-node')).toEqual({ problem: 'This node was not started by the app.' });
});
