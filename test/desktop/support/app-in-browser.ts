// The desktop app in a browser instead of Electron: its main process runs here around a fake Electron, the pages come through
// the app's own protocol, and `window.weft` is the preload script's own bridge. Only the wire between the two is another one.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { APP_ORIGIN } from '../../../desktop/shared/bridge.ts';
import type { FakeElectron } from './fake-electron.ts';

const EXPOSE = fileURLToPath(new URL('../../../desktop/preload/expose.ts', import.meta.url));

/** Where the page's messages go, in place of Electron's own channels. */
const ASKED = '/-/asked';
const TOLD = '/-/told';

export interface AppInBrowser extends AsyncDisposable {
  /** Of the page. */
  readonly url: string;
  /** Put into the page before its own scripts. */
  readonly script: string;
}

/** @param electron with an app around it that has opened its window */
export async function appInBrowser(electron: FakeElectron): Promise<AppInBrowser> {
  let url = '';
  const server = createServer((request, response) => {
    void answer(electron, url, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    script: await preloadScript(),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function answer(
  electron: FakeElectron,
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.url === ASKED) {
    const { channel, args } = (await json(request)) as { readonly channel: string; readonly args: readonly unknown[] };
    response.end(JSON.stringify(await electron.send(channel, args)));
    return;
  }
  if (request.url === TOLD) {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    const end = electron.window.onTold((channel, value) =>
      response.write(`data: ${JSON.stringify({ channel, value })}\n\n`),
    );
    response.once('close', end);
    return;
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { method = 'GET', headers } = request;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const {
    status,
    headers: given,
    body,
  } = await electron.fetch(request.url ?? '/', {
    method,
    headers: {
      ...Object.fromEntries(
        Object.entries(headers).filter(([name]) => !/^(connection|host|content-length)$/.test(name)),
      ),
      // As Electron's Chromium writes it: the page's origin is the app's.
      ...(headers.origin === url ? { origin: APP_ORIGIN } : {}),
    } as Record<string, string>,
    signal: gone.signal,
    ...(hasBody
      ? { body: Readable.toWeb(request) as unknown as NonNullable<RequestInit['body']>, duplex: 'half' as const }
      : {}),
  });
  response.writeHead(status, Object.fromEntries(given));
  response.flushHeaders();
  for await (const chunk of body ?? []) if (!response.write(chunk)) await once(response, 'drain', gone);
  response.end();
}

/** The preload script with this wire under it. */
async function preloadScript(): Promise<string> {
  const entry = `
    import { exposeBridge } from ${JSON.stringify(EXPOSE)};
    const listeners = new Set();
    const events = new EventSource('${TOLD}');
    events.onmessage = ({ data }) => {
      const { channel, value } = JSON.parse(data);
      for (const one of [...listeners]) if (one.channel === channel) one.listener(value);
    };
    exposeBridge({
      expose: (name, bridge) => { window[name] = bridge; },
      invoke: async (channel, ...args) =>
        (await fetch('${ASKED}', { method: 'POST', body: JSON.stringify({ channel, args }) })).json(),
      on(channel, listener) {
        const one = { channel, listener };
        listeners.add(one);
        return () => listeners.delete(one);
      },
      appVersion: '1.2.3', platform: 'linux', versions: { electron: '45', chrome: '150' },
    });`;
  const bundle = await rolldown({
    input: 'entry',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === 'entry' ? id : null),
        load: (id) => (id === 'entry' ? entry : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'iife' });
  await bundle.close();
  return output[0].code;
}
