// Which addresses a public hub may send this node to: none of its own machine's, and none of its own network's.
import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Not on the public internet (IANA's special-purpose registries). Checks `::ffff:10.0.0.1` as 10.0.0.1. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv4');
  // Networks without IPv4 write every IPv4 address so, the public ones as well (NAT64, RFC 6052).
  PRIVATE.addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6');
}
for (const [network, prefix] of [
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv6');
}

/** True for an address that is not on the public internet, in any way to write it (`::ffff:10.0.0.1`). */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && PRIVATE.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** True for the host of an URL that says by itself that it is not public. Other names say it once they are looked up. */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  return isPrivateAddress(host) || host === 'localhost' || host.endsWith('.localhost');
}

/** A lookup that fails where `refused` says so of any address: a name of the public internet has none but public ones. */
export function guardedLookup(refused: (address: string) => boolean, lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const list = typeof addresses === 'string' ? [{ address: addresses, family: isIP(addresses) }] : addresses;
      if (list.some(({ address }) => refused(address))) {
        return callback(Object.assign(new Error('The name leads to a private address.'), { code: 'EPRIVATE' }), []);
      }
      if (options.all === true) return callback(null, list);
      const [first] = list;
      return callback(null, first?.address ?? '', first?.family);
    });
  };
}

/** True when a host is not on the public internet, by its name or by any address of it. Unknown names count as public. */
export async function leadsToPrivate(hostname: string, lookup: LookupFunction): Promise<boolean> {
  if (isPrivateHost(hostname)) return true;
  if (isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0) return false;
  return new Promise((resolve) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error !== null) return resolve(false);
      const list = typeof addresses === 'string' ? [{ address: addresses }] : addresses;
      resolve(list.some(({ address }) => isPrivateAddress(address)));
    });
  });
}

/** The system's own way to look a name up. */
export const lookupName: LookupFunction = (hostname, options, callback) => {
  systemLookup(hostname, { ...options, all: true }, callback);
};
