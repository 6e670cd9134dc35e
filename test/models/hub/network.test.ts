// Where a client lets a hub lead it: redirects, the token, private networks, certificates, proxies. Guards have twins in
// which they are left out and the attack succeeds.
import type { LookupFunction } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../../support/certificate.ts';
import type { Hub } from '../../support/hub-server.ts';
import { type ConnectProxyInit, startProxy } from './connect-proxy.ts';
import { CONFIG, chunk, failure, ID, never, openClient, openHub, openScene, openWeights } from './support.ts';

const CERTIFICATE = makeCertificate(['hub.example', 'cdn.example', 'localhost', '127.0.0.1']);

async function openProxy(init?: ConnectProxyInit) {
  const proxy = await startProxy(init);
  onTestFinished(() => proxy.close());
  return proxy;
}

describe('redirects', () => {
  it('are followed to another server, without the token', async () => {
    const { hub, client } = await openScene({ token: 'secret' }, { token: 'secret' });
    expect(await (await openWeights({ client }))(1)).toEqual(new Uint8Array(chunk(1)));
    for (const { server, headers } of hub.requests) {
      expect(headers.authorization).toBe(server === 'hub' ? 'Bearer secret' : undefined);
    }
  });

  it('twin: without the guard the token goes along', async () => {
    const { hub, client } = await openScene({ token: 'secret', guards: { sendsToken: () => true } });
    await (await openWeights({ client }))(1);
    expect(hub.requests.at(-1)).toMatchObject({ server: 'cdn', headers: { authorization: 'Bearer secret' } });
  });

  it('on the hub itself take the token along: a model that was renamed', async () => {
    const { hub, client } = await openScene({ token: 'secret' }, { token: 'secret' });
    hub.lie({ kind: 'redirect', times: 1, on: /revision/, to: `/api/models/${ID}/revision/main` });
    const asked = client.model(ID, (await hub.commit(ID)).slice(0), never);
    expect((await asked).files).toHaveLength(4);
    expect(hub.requests.every(({ headers }) => headers.authorization === 'Bearer secret')).toBe(true);
  });

  it('in circles end at once', async () => {
    const { hub, client } = await openScene();
    hub.lie({ kind: 'circle' });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /in circles/));
    expect(hub.requests).toHaveLength(2);
  });

  it('end after the fifth, and are followed further where nothing counts them', async () => {
    const { hub, client } = await openScene();
    hub.lie({ kind: 'hops' });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /more than 5/));
    expect(hub.requests).toHaveLength(6);
    hub.honest();
    hub.lie({ kind: 'hops', times: 20 });
    const twin = openClient({ endpoint: hub.url, limits: { redirectsMax: Number.POSITIVE_INFINITY } });
    expect((await twin.model(ID, undefined, never)).files).toHaveLength(4);
  });

  it.each(['file:///etc/passwd', 'javascript:1', 'http://user:word@127.0.0.1/', 'http://', ''])(
    'to %j are refused',
    async (to) => {
      const { hub, client } = await openScene();
      hub.lie({ kind: 'redirect', to });
      await expect(client.model(ID, undefined, never)).rejects.toMatchObject({ code: 'hub_unreachable' });
      expect(hub.requests.length).toBeLessThan(3);
    },
  );

  it('from https to http are refused, and followed where nothing checks it', async () => {
    const plain = await openHub();
    const { hub, client } = await openScene({ ca: CERTIFICATE.cert }, { certificate: CERTIFICATE });
    const to = `${plain.url}/api/models/${ID}/revision/main`;
    hub.lie({ kind: 'redirect', to, on: /revision/ });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /to plain http/));
    expect(plain.requests).toEqual([]);
    const twin = openClient({ endpoint: hub.url, ca: CERTIFICATE.cert, guards: { redirect: () => undefined } });
    await twin.model(ID, undefined, never);
    expect(plain.requests).toHaveLength(1);
  });
});

describe('a public hub', () => {
  /** It is public by its name, and reached through a proxy; the other server is this machine's, and reached directly. */
  async function scene(cdnHost: string, init: Parameters<typeof openClient>[0] | object = {}) {
    const certificate = CERTIFICATE;
    const hub = await openHub({ certificate, host: 'hub.example', cdnHost });
    const proxy = await openProxy();
    const lookup: LookupFunction = (hostname, { all }, callback) => {
      const address = hostname === 'hub.example' ? '93.184.215.14' : '127.0.0.1';
      if (all === true) callback(null, [{ address, family: 4 }]);
      else callback(null, address, 4);
    };
    const environment = { HTTPS_PROXY: proxy.url, NO_PROXY: cdnHost };
    const client = openClient({ endpoint: hub.url, ca: certificate.cert, environment, lookup, ...init });
    return { hub, read: await openWeights({ client }) };
  }
  const cdnRequests = (hub: Hub): number => hub.requests.filter(({ server }) => server === 'cdn').length;

  it.each(['127.0.0.1', 'localhost'])('does not lead to %s, unless nothing checks it', async (cdnHost) => {
    const { hub, read } = await scene(cdnHost);
    await expect(read(0)).rejects.toMatchObject(failure('hub_unreachable', /into a private network/));
    expect(cdnRequests(hub)).toBe(0);
    const twin = await scene(cdnHost, { guards: { redirect: () => undefined, address: () => false } });
    expect(await twin.read(0)).toEqual(new Uint8Array(chunk(0)));
  });

  it('does not lead to a name with a private address, unless nothing checks it', async () => {
    const { hub, read } = await scene('cdn.example');
    await expect(read(0)).rejects.toMatchObject(failure('hub_unreachable', /into a private network/));
    expect(cdnRequests(hub)).toBe(0);
    const twin = await scene('cdn.example', { guards: { address: () => false } });
    expect(await twin.read(0)).toEqual(new Uint8Array(chunk(0)));
  });
});

describe('certificates', () => {
  it('of an authority of its own are trusted once it is named', async () => {
    const { hub, client } = await openScene({ ca: CERTIFICATE.cert }, { certificate: CERTIFICATE });
    expect(await (await openWeights({ client }))(0)).toEqual(new Uint8Array(chunk(0)));
    const stranger = openClient({ endpoint: hub.url });
    const error = await stranger.model(ID, undefined, never).catch((thrown) => thrown);
    expect(error).toMatchObject(failure('hub_unreachable', /cannot be trusted/));
    expect(error.remedy).toContain('SSL_CERT_FILE');
    expect(hub.requests).toHaveLength(4);
  });

  it('for another name are not', async () => {
    const certificate = makeCertificate(['other.example']);
    const { client } = await openScene({ ca: certificate.cert }, { certificate });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /be trusted/));
  });
});

describe('proxies', () => {
  it.each(['HTTPS_PROXY', 'https_proxy'])('are used for https (%s)', async (variable) => {
    const hub = await openHub({ certificate: CERTIFICATE, host: 'hub.example', cdnHost: 'cdn.example' });
    const proxy = await openProxy();
    const client = openClient({ endpoint: hub.url, ca: CERTIFICATE.cert, environment: { [variable]: proxy.url } });
    expect(await (await openWeights({ client }))(4)).toEqual(new Uint8Array(chunk(4)));
    const { hub: hubPort, cdn } = hub.ports;
    expect([...new Set(proxy.requests)]).toEqual([`CONNECT hub.example:${hubPort}`, `CONNECT cdn.example:${cdn}`]);
  });

  it.each(['HTTP_PROXY', 'http_proxy'])(
    'are used for http (%s), also when written without http://',
    async (variable) => {
      const hub = await openHub();
      const proxy = await openProxy();
      const environment = { [variable]: proxy.url.replace('http://', '') };
      const client = openClient({ endpoint: hub.url, environment });
      const model = await client.model(ID, undefined, never);
      const [config] = model.files;
      if (config === undefined) throw new Error('There are four.');
      expect(Buffer.from(await client.bytes(model, config, never))).toEqual(CONFIG);
      expect(proxy.requests).toHaveLength(3);
      expect(proxy.requests[0]).toBe(`GET ${hub.url}/api/models/${ID}/revision/main`);
    },
  );

  it.each([{ NO_PROXY: '127.0.0.1' }, { no_proxy: 'other.example, 127.0.0.1' }, { NO_PROXY: '*' }, {}])(
    'are not used where %j says so',
    async (environment) => {
      const hub = await openHub();
      const proxy = await openProxy();
      const used = Object.keys(environment).length === 0 ? {} : { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
      await openClient({ endpoint: hub.url, environment: { ...used, ...environment } }).model(ID, undefined, never);
      expect(proxy.requests).toEqual([]);
    },
  );

  it('are not taken from the process, but from what the client was given', async () => {
    const proxy = await openProxy();
    const before = process.env.HTTP_PROXY;
    process.env.HTTP_PROXY = proxy.url;
    onTestFinished(() => {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    });
    const { client } = await openScene();
    await client.model(ID, undefined, never);
    expect(proxy.requests).toEqual([]);
  });

  it.each<[number, boolean]>([
    [403, true],
    [407, true],
    [407, false],
  ])('that refuse with %i are named (https: %s)', async (refuse, secure) => {
    const hub = await openHub(secure ? { certificate: CERTIFICATE } : {});
    const proxy = await openProxy({ refuse });
    const client = openClient({ endpoint: hub.url, environment: { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url } });
    const error = await client.model(ID, undefined, never).catch((thrown) => thrown);
    expect(error).toMatchObject(failure('hub_unreachable', /The proxy did not let/));
    expect(error.remedy).toContain('HTTPS_PROXY');
    expect(hub.requests).toEqual([]);
  });

  it('that are not there count as a hub that is not', async () => {
    const proxy = await startProxy();
    await proxy.close();
    const hub = await openHub({ certificate: CERTIFICATE });
    const client = openClient({ endpoint: hub.url, environment: { HTTPS_PROXY: proxy.url } });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject({ code: 'hub_unreachable' });
    expect(hub.requests).toEqual([]);
  });

  it.each(['http://', 'socks5://127.0.0.1:1', ':'])('written as %j are a wrong setting', async (address) => {
    const client = openClient({ endpoint: 'http://127.0.0.1:1', environment: { HTTP_PROXY: address } });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('a hub that is not there', () => {
  it('is tried a few times, and then reported', async () => {
    const { hub, client, clock } = await openScene();
    await hub.close();
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(
      failure('hub_unreachable', /no connections/),
    );
    expect(clock.pauses).toEqual([500, 1000, 2000, 4000]);
  });

  it('has a name that nobody knows', async () => {
    const lookup: LookupFunction = (_hostname, _options, callback) =>
      callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), []);
    const client = openClient({ endpoint: 'https://hub.example', lookup });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(
      failure('hub_unreachable', /hub\.example cannot be found/),
    );
  });

  it('is asked again when it comes back', async () => {
    const { hub, client } = await openScene();
    hub.lie({ kind: 'fail', status: 502, times: 4 });
    expect((await client.model(ID, undefined, never)).id).toBe(ID);
  });
});
