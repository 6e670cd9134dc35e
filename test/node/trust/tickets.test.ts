import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJoinAttempt } from '../../../node/trust/join-attempt.ts';
import { TICKET_LENGTH_MAX } from '../../../node/trust/limits.ts';
import { encodeTicket, parseTicket } from '../../../node/trust/tickets.ts';
import { device, HandClock } from './fakes.ts';

const inviter = device('ada');
const address = `/ip4/192.168.1.20/tcp/9339/p2p/${inviter.node}`;
const content = {
  rootKey: new Uint8Array(32).fill(3),
  meshName: "ada's mesh",
  addresses: [address, `/ip6/fd00::20/tcp/9339/p2p/${inviter.node}`],
  expiresAtMs: 1_800_000_000_000,
  secret: new Uint8Array(16).fill(4),
  id: new Uint8Array(8).fill(5),
};
const ticket = encodeTicket(content);
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'no error';
};

describe('a ticket', () => {
  it('is one word that reads back as it was made', () => {
    expect(ticket).toMatch(/^weft1[1-9A-HJ-NP-Za-km-z]+$/);
    expect(parseTicket(ticket)).toMatchObject({ ...content, inviter: inviter.node });
    expect(ticket.length).toBeLessThan(500);
  });

  it('fits its bound with as many and as long addresses as there may be', () => {
    const long = `/dns4/${'a'.repeat(63)}.${'b'.repeat(63)}.example/tcp/65535/p2p/${inviter.node}`;
    const full = encodeTicket({ ...content, addresses: Array.from({ length: 6 }, () => long) });
    expect(full.length).toBeLessThanOrEqual(TICKET_LENGTH_MAX);
    expect(parseTicket(full).addresses).toHaveLength(6);
  });

  it('survives the white space that a terminal or a chat puts in', () => {
    expect(parseTicket(` ${ticket.slice(0, 80)}\n  ${ticket.slice(80)}\r\n`)).toEqual(parseTicket(ticket));
  });

  it('with one wrong, lost, added or swapped character is invalid, not expired', () => {
    const clock = new HandClock();
    clock.wallMs = content.expiresAtMs * 2;
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: ticket.length - 1 }),
        fc.constantFrom(...ALPHABET),
        fc.constantFrom('replace', 'drop', 'insert', 'swap'),
        (at, character, what) => {
          const after = ticket.slice(at + 1);
          const wrong = {
            replace: ticket.slice(0, at) + character + after,
            drop: ticket.slice(0, at) + after,
            insert: ticket.slice(0, at) + character + ticket.slice(at),
            swap: ticket.slice(0, at) + after.slice(0, 1) + ticket[at] + after.slice(1),
          }[what as 'drop'];
          fc.pre(wrong !== ticket);
          expect(codeOf(() => createJoinAttempt(wrong, device('ben'), undefined, clock))).toBe('ticket_invalid');
        },
      ),
    );
    expect(codeOf(() => createJoinAttempt(ticket, device('ben'), undefined, clock))).toBe('ticket_expired');
  });

  it('is told from any other text, however long', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(codeOf(() => parseTicket(text))).toBe('ticket_invalid');
        expect(codeOf(() => parseTicket(`weft1${text}`))).toBe('ticket_invalid');
      }),
    );
    expect(codeOf(() => parseTicket(`weft1${'z'.repeat(1_000_000)}`))).toBe('ticket_invalid');
    expect(codeOf(() => parseTicket(' '.repeat(1_000_000)))).toBe('ticket_invalid');
  });

  it('of another version says so', () => {
    expect(() => parseTicket(ticket.replace('weft1', 'weft2'))).toThrow(/another version/);
  });

  it.each([
    ['a short secret', { secret: new Uint8Array(15) }],
    ['a short key', { rootKey: new Uint8Array(31) }],
    ['no address', { addresses: [] }],
    ['an address without a node', { addresses: ['/ip4/10.0.0.1/tcp/1'] }],
    ['addresses of two nodes', { addresses: [address, `/ip4/10.0.0.1/tcp/1/p2p/${device('eve').node}`] }],
    ['an address with control characters', { addresses: [`/ip4/\u001b[2J/tcp/1/p2p/${inviter.node}`] }],
    ['too many addresses', { addresses: Array.from({ length: 9 }, () => `/ip4/1.1.1.1/tcp/1/p2p/${inviter.node}`) }],
  ])('with %s is invalid, though its checksum is right', (_, change) => {
    expect(codeOf(() => parseTicket(encodeTicket({ ...content, ...change })))).toBe('ticket_invalid');
  });

  it('is no use to the device that made it', () => {
    expect(codeOf(() => createJoinAttempt(ticket, inviter, undefined, new HandClock()))).toBe('ticket_invalid');
  });
});
