// Connections to a hub and to where it redirects: proxies, certificate authorities, and no way into private networks. The
// HTTP library is loaded when the first of them is needed. Owned by HubHttp.
import type { LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';
import type { Dispatcher, EnvHttpProxyAgent } from 'undici';
import { WeftError } from '../../protocol/errors.ts';
import { guardedLookup, leadsToPrivate, lookupName } from './addresses.ts';
import type { HubGuards } from './guards.ts';
import type { HubLimits } from './limits.ts';

export interface HubConnectionsInit {
  readonly endpoint: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly ca: string | undefined;
  readonly lookup?: LookupFunction;
}

interface Dispatchers {
  readonly hub: EnvHttpProxyAgent;
  readonly elsewhere: EnvHttpProxyAgent;
}

export class HubConnections {
  readonly #init: HubConnectionsInit;
  readonly #rules: { readonly limits: HubLimits; readonly guards: HubGuards };
  #dispatchers: Promise<Dispatchers> | undefined;
  /** Known once the hub first redirects. */
  #private: Promise<boolean> | undefined;

  constructor(init: HubConnectionsInit, rules: { readonly limits: HubLimits; readonly guards: HubGuards }) {
    this.#init = init;
    this.#rules = rules;
  }

  /** What carries a request there. @throws WeftError `config_invalid` for a proxy that is none, or the signal's reason */
  async to(url: URL, signal: AbortSignal): Promise<Dispatcher> {
    this.#dispatchers ??= this.#connect();
    const { hub, elsewhere } = await this.#dispatchers;
    const free = url.origin === new URL(this.#init.endpoint).origin || (await this.isPrivate(signal));
    return free ? hub : elsewhere;
  }

  /** Whether the hub lies in a private network itself, and so may lead into one. @throws the signal's reason */
  isPrivate(signal: AbortSignal): Promise<boolean> {
    const { endpoint, lookup = lookupName } = this.#init;
    this.#private ??= leadsToPrivate(new URL(endpoint).hostname, lookup);
    return unlessAborted(this.#private, signal);
  }

  /** Ends them all, and every request on them. */
  async destroy(): Promise<void> {
    const dispatchers = await this.#dispatchers?.catch(() => undefined);
    await Promise.all([dispatchers?.hub.destroy(), dispatchers?.elsewhere.destroy()]);
  }

  /** One set of connections to the hub, another one to where it redirects: only the latter are kept out of private networks. */
  async #connect(): Promise<Dispatchers> {
    const { EnvHttpProxyAgent, Pool } = await import('undici');
    const { ca, environment, lookup = lookupName } = this.#init;
    const { limits, guards } = this.#rules;
    const tls = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
    const pool = {
      connections: limits.connectionsMax,
      pipelining: 1,
      // Ranges that share one connection wait for one another's lost packets.
      allowH2: false,
      headersTimeout: limits.headersMs,
      bodyTimeout: limits.stallMs,
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: limits.keepAliveMs,
      maxHeaderSize: limits.headerBytesMax,
      maxResponseSize: Math.max(limits.jsonBytesMax, limits.smallBytesMax, limits.rangeBytesMax) + 1,
    };
    const variable = (name: string): string => environment[name.toLowerCase()] || environment[name] || '';
    const agent = (lookUp: LookupFunction): EnvHttpProxyAgent =>
      new EnvHttpProxyAgent({
        ...pool,
        maxOrigins: limits.originsMax,
        connect: { ...tls, timeout: limits.connectMs, lookup: lookUp },
        // What follows is for proxies: they look names up themselves, and may lie in a private network.
        httpProxy: proxyAddress(variable('HTTP_PROXY')),
        httpsProxy: proxyAddress(variable('HTTPS_PROXY')),
        noProxy: variable('NO_PROXY'),
        requestTls: { ...tls, timeout: limits.connectMs, allowH2: false },
        proxyTls: { ...tls, timeout: limits.connectMs, allowH2: false },
        clientFactory: (origin, options) => new Pool(origin, { ...pool, ...options }),
      });
    return { hub: agent(lookup), elsewhere: agent(guardedLookup(guards.address, lookup)) };
  }
}

/** What comes of it, unless the signal aborts first. @throws the signal's reason */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** An address as proxies are written: `proxy.example:3128` is one, too. @throws WeftError `config_invalid` */
function proxyAddress(text: string): string {
  if (text === '') return '';
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) return address;
  throw new WeftError({
    code: 'config_invalid',
    message: 'The address of the proxy is none.',
    remedy: 'Correct HTTPS_PROXY or HTTP_PROXY: http://HOST:PORT.',
    facts: { param: 'HTTPS_PROXY' },
  });
}
