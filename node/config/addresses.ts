// Addresses in settings: where the API listens, where the swarm listens, and which pages may call. Checked as text, so
// that a slip is found before anything is started.
import { isIP, isIPv4, isIPv6 } from 'node:net';

/** Where the API listens. */
export interface ApiAddress {
  /** IP address or host name. */
  readonly host: string;
  readonly port: number;
}

/** Host names by RFC 1123. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

function parsePort(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** "127.0.0.1:9338", "[::1]:9338", "localhost:0"; undefined for anything else. */
export function parseApiAddress(text: string): ApiAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text.trim());
  const port = parsePort(match?.[3] ?? '');
  if (match === null || port === undefined) return undefined;
  const [, v6, name] = match;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined;
  // All digits and dots, but no address: a mistyped one, not a name.
  if (name === undefined || (!isIPv4(name) && (/^[\d.]+$/.test(name) || !HOST_NAME.test(name)))) return undefined;
  return { host: name, port };
}

/** "host:port" as it stands in a URL. */
export function formatApiAddress({ host, port }: ApiAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True when only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  if (isIPv4(host)) return host.startsWith('127.');
  return isIPv6(host) && new URL(`http://[${host}]`).hostname === '[::1]';
}

/** What a swarm address names: `/ip4/0.0.0.0/tcp/9339`, `/dns4/home.example/tcp/9339/p2p/12D3…`. */
export interface SwarmAddress {
  readonly family: 'ip4' | 'ip6' | 'dns' | 'dns4' | 'dns6';
  readonly host: string;
  readonly port: number;
}

/** The parts of a TCP multiaddr; undefined for anything else. A `/p2p/` part at its end is allowed. */
export function parseSwarmAddress(text: string): SwarmAddress | undefined {
  const match = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)(?:\/p2p\/[1-9A-HJ-NP-Za-km-z]{46,64})?$/.exec(text);
  const [, family, host, digits] = match ?? [];
  const port = parsePort(digits ?? '');
  if (family === undefined || host === undefined || port === undefined) return undefined;
  const sound =
    family === 'ip4' ? isIPv4(host) : family === 'ip6' ? isIPv6(host) : HOST_NAME.test(host) && isIP(host) === 0;
  return sound ? { family: family as SwarmAddress['family'], host, port } : undefined;
}

/** True for the origin of a page, as browsers send it: `https://app.example`, `http://localhost:3000`, `app://weft`. */
export function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s*]+$/.test(text)) return false;
  if (!URL.canParse(text)) return false;
  const { protocol, origin } = new URL(text);
  // Other schemes have the origin "null" for Node, but not for the browser engine that registered them.
  return protocol === 'http:' || protocol === 'https:' ? origin === text : true;
}

/** True for `https://collector.example/v1/traces`: http or https, without a name and password, query or fragment. */
export function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && `${username}${password}${search}${hash}` === '';
}
