// Links that open the app, such as `weft://join/TICKET`. Anybody can make one and any page can offer it: a link is checked,
// shown, and never acted on before the person has agreed.
import { type DeepLink, LINK_SCHEME } from '../shared/bridge.ts';
import { TICKET_LENGTH_MAX } from './limits.ts';

/** The form of a ticket, in base58; what it says and whether it is good only the node can tell. */
const TICKET = /^weft1[1-9A-HJ-NP-Za-km-z]{20,}$/;

/** @returns undefined for anything but a link of this app that has the right form */
export function parseDeepLink(text: string): DeepLink | undefined {
  if (text.length > TICKET_LENGTH_MAX + 64) return undefined;
  const found = /^([a-z]+):\/\/([a-z]+)\/([^/?#]+)\/?$/.exec(text);
  if (found === null) return undefined;
  const [, scheme, kind, ticket = ''] = found;
  if (scheme !== LINK_SCHEME || kind !== 'join') return undefined;
  return ticket.length <= TICKET_LENGTH_MAX && TICKET.test(ticket) ? { kind, ticket } : undefined;
}

/** The first link on a command line: where the system starts the app anew for each. */
export function linkAmong(argv: readonly string[]): DeepLink | undefined {
  for (const argument of argv) {
    const link = parseDeepLink(argument);
    if (link !== undefined) return link;
  }
  return undefined;
}
