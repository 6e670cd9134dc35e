import { describe, expect, it } from 'vitest';
import {
  InvitationBook,
  type InvitationBookComponents,
  type InvitationBookInit,
} from '../../../node/trust/invitations.ts';
import { createJoinAttempt } from '../../../node/trust/join-attempt.ts';
import {
  EXPIRY_TOLERANCE_MS,
  FAILED_PROOFS_MAX,
  OPEN_INVITATIONS_MAX,
  PENDING_HELLOS_MAX,
} from '../../../node/trust/limits.ts';
import { type JoinContext, type JoinProof, joinProof } from '../../../node/trust/proofs.ts';
import { parseTicket } from '../../../node/trust/tickets.ts';
import { bringIn, device, openNode } from './fakes.ts';

const TTL_MS = 600_000;
const ben = device('ben');
const eve = device('eve');

async function openBook(overrides: Partial<InvitationBookComponents> = {}, init: InvitationBookInit = {}) {
  const ada = await openNode('ada');
  const { store, clock, key, list: members } = ada;
  const components = { store, clock, key, members, ...overrides };
  const addresses = [`/ip4/10.0.0.1/tcp/9339/p2p/${key.node}`];
  const book = await InvitationBook.open(components, init);
  return {
    ...ada,
    book,
    invite: (on = book, ttlMs = TTL_MS) => on.create({ addresses, ttlMs }),
    reopenBook: () => InvitationBook.open(components, init),
    attempt: (ticket: string, by = ben) => createJoinAttempt(ticket, by, undefined, clock),
  };
}

type Attempt = ReturnType<typeof createJoinAttempt>;

/** What node/mesh carries, with the peer id that Noise has authenticated. */
function join(book: InvitationBook, attempt: Attempt, as = ben, publicKey = as.publicKey) {
  const proof = attempt.prove(book.hello(as.node, attempt));
  return book.admit(as.node, { ticketId: attempt.ticketId, proof, name: 'newcomer', publicKey });
}

const refused = { code: 'join_refused' };

describe('joining', () => {
  it('signs the newcomer in, as a member, and its own list then agrees', async () => {
    const { book, invite, attempt, list, key } = await openBook();
    expect(book.anyOpen()).toBe(false);
    const { ticket, expiresAtMs } = await invite();
    expect(parseTicket(ticket)).toMatchObject({ inviter: key.node, meshId: list.meshId, expiresAtMs });
    expect(book.anyOpen()).toBe(true);
    const newcomer = await openNode('ben');
    const { rootKey, ...rest } = attempt(ticket);
    const { statements, meshName } = await join(book, { rootKey, ...rest });
    await newcomer.list.adopt({ rootKey, statements, meshName });
    expect(newcomer.list.members()).toEqual(list.members());
    expect(newcomer.list.self.role).toBe('member');
    expect(book.anyOpen()).toBe(false);
  });

  it('is possible until the invitation is cancelled, also for who has begun', async () => {
    const { book, invite, attempt, reopenBook, list } = await openBook();
    const [first, second] = [await invite(), await invite()];
    expect(book.open()).toEqual([first, second].map(({ id, expiresAtMs }) => ({ id, expiresAtMs })));
    const begun = attempt(first.ticket);
    const proof = begun.prove(book.hello(ben.node, begun));
    await book.cancel(first.id);
    const request = { ticketId: begun.ticketId, proof, name: 'ben', publicKey: ben.publicKey };
    await expect(book.admit(ben.node, request)).rejects.toMatchObject(refused);
    expect(() => book.hello(ben.node, attempt(first.ticket))).toThrow(expect.objectContaining(refused));
    expect((await reopenBook()).open().map(({ id }) => id)).toEqual([second.id]);
    await expect(book.cancel(first.id)).rejects.toMatchObject({ code: 'not_found' });
    await join(book, attempt(second.ticket));
    expect(list.isMember(ben.node)).toBe(true);
    // One that was used is no invitation any more.
    await expect(book.cancel(second.id)).rejects.toMatchObject({ code: 'not_found' });
    expect(book.open()).toEqual([]);
  });

  it('uses the ticket up: another device is refused, the same one may come again', async () => {
    const { book, invite, attempt, list, reopenBook } = await openBook();
    const { ticket } = await invite();
    const first = await join(book, attempt(ticket));
    expect(() => book.hello(eve.node, attempt(ticket, eve))).toThrow(expect.objectContaining(refused));
    // Its welcome was lost; also across a restart of the inviter.
    const again = await join(await reopenBook(), attempt(ticket));
    expect(again).toEqual(first);
    expect(list.members()).toHaveLength(2);
  });

  it('lets only one of two devices in that come with the same ticket at the same time', async () => {
    const { book, invite, attempt, list } = await openBook();
    const { ticket } = await invite();
    const attempts = [
      { by: ben, attempt: attempt(ticket, ben) },
      { by: eve, attempt: attempt(ticket, eve) },
    ].map((one) => ({ ...one, proof: one.attempt.prove(book.hello(one.by.node, one.attempt)) }));
    const results = await Promise.allSettled(
      attempts.map(({ by, attempt: { ticketId }, proof }) =>
        book.admit(by.node, { ticketId, proof, name: 'x', publicKey: by.publicKey }),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(list.isMember(eve.node)).toBe(false);
  });

  it('works with a ticket from before a restart of the inviter', async () => {
    const { invite, attempt, reopenBook, list } = await openBook();
    const { ticket } = await invite();
    const book = await reopenBook();
    expect(book.anyOpen()).toBe(true);
    await join(book, attempt(ticket));
    expect(list.isMember(ben.node)).toBe(true);
  });

  it('is refused to a revoked device, without using up the ticket', async () => {
    const { book, invite, attempt, list } = await openBook();
    await join(book, attempt((await invite()).ticket));
    await list.revoke(ben.node, 'lost');
    const { ticket } = await invite();
    await expect(join(book, attempt(ticket))).rejects.toMatchObject(refused);
    await join(book, attempt(ticket, eve), eve);
    expect(list.isMember(eve.node)).toBe(true);
  });

  it('is refused with a public key that is not the one of the connection', async () => {
    const { book, invite, attempt, list } = await openBook();
    const { ticket } = await invite();
    await expect(join(book, attempt(ticket), ben, eve.publicKey)).rejects.toMatchObject(refused);
    expect(list.members()).toHaveLength(1);
  });

  it('does not happen when the disk cannot remember that the ticket is used', async () => {
    const { book, invite, attempt, list, store } = await openBook();
    const { ticket } = await invite();
    store.failing = true;
    await expect(join(book, attempt(ticket))).rejects.toThrow('the disk is full');
    expect(list.members()).toHaveLength(1);
    store.failing = false;
    await join(book, attempt(ticket));
    expect(list.isMember(ben.node)).toBe(true);
  });

  it('ends when the inviter itself has joined another mesh', async () => {
    const { book, invite, attempt, list, key } = await openBook();
    const { ticket } = await invite();
    const other = await openNode('other');
    await bringIn(other.list, { key, list }, 'admin');
    expect(book.anyOpen()).toBe(false);
    expect(() => book.hello(ben.node, attempt(ticket))).toThrow(expect.objectContaining(refused));
  });
});

describe('an invitation', () => {
  it('is made by admins only', async () => {
    const ada = await openNode('ada');
    const node = await openNode('ben');
    await bringIn(ada.list, node);
    const { store, clock, key, list: members } = node;
    const book = await InvitationBook.open({ store, clock, key, members });
    const addresses = [`/ip4/10.0.0.1/tcp/1/p2p/${key.node}`];
    await expect(book.create({ addresses, ttlMs: TTL_MS })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('needs an address of this node and a sensible time', async () => {
    const { book, key } = await openBook();
    const elsewhere = [`/ip4/10.0.0.1/tcp/1/p2p/${eve.node}`, '/ip4/10.0.0.1/tcp/1'];
    await expect(book.create({ addresses: elsewhere, ttlMs: TTL_MS })).rejects.toMatchObject({ code: 'bad_request' });
    const addresses = [`/ip4/10.0.0.1/tcp/1/p2p/${key.node}`];
    for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 8 * 24 * 3_600_000]) {
      await expect(book.create({ addresses, ttlMs })).rejects.toMatchObject({ code: 'bad_request' });
    }
  });

  it('is one of a bounded number; expired ones make room', async () => {
    const { invite, clock } = await openBook();
    for (let count = 0; count < OPEN_INVITATIONS_MAX; count++) await invite();
    await expect(invite()).rejects.toMatchObject({ code: 'quota_exceeded' });
    clock.wallMs += TTL_MS + EXPIRY_TOLERANCE_MS + 1;
    await invite();
  });
});

describe('an expired ticket', () => {
  it('is refused on both sides, beyond the tolerance', async () => {
    const { book, invite, attempt, clock } = await openBook();
    const { ticket } = await invite();
    const early = attempt(ticket);
    clock.wallMs += TTL_MS + EXPIRY_TOLERANCE_MS;
    attempt(ticket);
    book.hello(ben.node, early);
    clock.wallMs += 1;
    expect(() => attempt(ticket)).toThrow(expect.objectContaining({ code: 'ticket_expired' }));
    expect(() => book.hello(ben.node, early)).toThrow(expect.objectContaining(refused));
    expect(book.anyOpen()).toBe(false);
  });

  it('that expires between hello and proof is refused', async () => {
    const { book, invite, attempt, clock } = await openBook();
    const { ticket } = await invite();
    const early = attempt(ticket);
    const proof = early.prove(book.hello(ben.node, early));
    clock.wallMs += 2 * TTL_MS;
    const request = { ticketId: early.ticketId, proof, name: 'late', publicKey: ben.publicKey };
    await expect(book.admit(ben.node, request)).rejects.toMatchObject(refused);
  });

  it('twin: without the expiry it is admitted', async () => {
    const { book, invite, attempt, clock, list } = await openBook({}, { expiryToleranceMs: Number.POSITIVE_INFINITY });
    const { ticket } = await invite();
    const early = attempt(ticket);
    clock.wallMs += 365 * 24 * 3_600_000;
    await join(book, early);
    expect(list.isMember(ben.node)).toBe(true);
  });
});

/** A newcomer's side without the newcomer's caution, and with any proof: what an attacker would write. */
async function scene(proof: JoinProof) {
  const { book, invite, attempt, list, key } = await openBook({ proof });
  const { ticket } = await invite();
  const { secret, id: ticketId } = parseTicket(ticket);
  const { nonce } = attempt(ticket);
  const contextOf = (newcomer: string, inviterNonce: Uint8Array): JoinContext => ({
    meshId: list.meshId,
    ticketId,
    inviter: key.node,
    newcomer,
    inviterNonce,
    newcomerNonce: nonce,
  });
  const admit = (by: typeof ben, proofBytes: Uint8Array) =>
    book.admit(by.node, { ticketId, proof: proofBytes, name: 'eve', publicKey: by.publicKey });
  return { book, ticket, attempt, list, secret, ticketId, nonce, contextOf, admit };
}

/** Each attack runs twice: against the real proof, and against one from which what stops the attack was taken out. */
const attacks: readonly {
  readonly name: string;
  readonly weakened: JoinProof;
  readonly attack: (proof: JoinProof) => Promise<{ readonly eveIsIn: boolean }>;
}[] = [
  {
    name: 'a guessed secret',
    weakened: (_secret, role, context) => joinProof(new Uint8Array(16), role, context),
    async attack(proof) {
      const { book, list, ticketId, nonce, contextOf, admit } = await scene(proof);
      const answer = book.hello(eve.node, { ticketId, nonce });
      const guess = proof(new Uint8Array(16).fill(1), 'newcomer', contextOf(eve.node, answer.nonce));
      await admit(eve, guess).catch(expectRefusal);
      return { eveIsIn: list.isMember(eve.node) };
    },
  },
  {
    // Eve stands between Ben and Ada, under her own id towards Ada, and passes on what Ben says.
    name: 'a proof made by another peer id',
    weakened: (secret, role, context) => joinProof(secret, role, { ...context, newcomer: '' }),
    async attack(proof) {
      const { book, list, ticketId, nonce, contextOf, admit, secret } = await scene(proof);
      const answer = book.hello(eve.node, { ticketId, nonce });
      await admit(eve, proof(secret, 'newcomer', contextOf(ben.node, answer.nonce))).catch(expectRefusal);
      return { eveIsIn: list.isMember(eve.node) };
    },
  },
  {
    name: "the inviter's own proof, sent back",
    weakened: (secret, _role, context) => joinProof(secret, 'inviter', context),
    async attack(proof) {
      const { book, list, ticketId, nonce, admit } = await scene(proof);
      const answer = book.hello(eve.node, { ticketId, nonce });
      await admit(eve, answer.proof).catch(expectRefusal);
      return { eveIsIn: list.isMember(eve.node) };
    },
  },
  {
    name: 'a proof from an earlier conversation',
    weakened: (secret, role, context) => joinProof(secret, role, { ...context, inviterNonce: new Uint8Array(32) }),
    async attack(proof) {
      const { book, list, ticketId, nonce, contextOf, admit, secret } = await scene(proof);
      const earlier = book.hello(eve.node, { ticketId, nonce });
      const recorded = proof(secret, 'newcomer', contextOf(eve.node, earlier.nonce));
      book.hello(eve.node, { ticketId, nonce });
      await admit(eve, recorded).catch(expectRefusal);
      return { eveIsIn: list.isMember(eve.node) };
    },
  },
];

function expectRefusal(error: unknown): void {
  expect(error).toMatchObject(refused);
}

describe.each(attacks)('$name', ({ attack, weakened }) => {
  it('is refused', async () => {
    expect(await attack(joinProof)).toEqual({ eveIsIn: false });
  });

  it('twin: gets in where nothing stops it', async () => {
    expect(await attack(weakened)).toEqual({ eveIsIn: true });
  });
});

describe('a newcomer', () => {
  it('gives no proof to an inviter that has none', async () => {
    const { ticket, attempt, book, ticketId, nonce, contextOf, secret } = await scene(joinProof);
    const bens = attempt(ticket);
    const impostor = { nonce: new Uint8Array(32), proof: new Uint8Array(32) };
    expect(() => bens.prove(impostor)).toThrow(expect.objectContaining(refused));
    expect(() => bens.prove({ ...impostor, nonce: new Uint8Array(0) })).toThrow(expect.objectContaining(refused));
    // Nor to one that passes on a genuine answer to someone else.
    expect(() => bens.prove(book.hello(eve.node, bens))).toThrow(expect.objectContaining(refused));
    // Nor to one that sends a newcomer's proof as its own.
    const reflected = joinProof(secret, 'newcomer', { ...contextOf(ben.node, nonce), newcomerNonce: bens.nonce });
    expect(() => bens.prove({ nonce, proof: reflected })).toThrow(expect.objectContaining(refused));
    expect(ticketId).toEqual(bens.ticketId);
  });
});

describe('a ticket that is being guessed at', () => {
  it('is void after a few wrong proofs, also after a restart', async () => {
    const { book, invite, attempt, reopenBook } = await openBook();
    const { ticket } = await invite();
    const { ticketId, nonce } = attempt(ticket);
    for (let count = 0; count < FAILED_PROOFS_MAX; count++) {
      book.hello(eve.node, { ticketId, nonce });
      const wrong = { ticketId, proof: new Uint8Array(32), name: 'eve', publicKey: eve.publicKey };
      await expect(book.admit(eve.node, wrong)).rejects.toMatchObject(refused);
    }
    expect(book.anyOpen()).toBe(false);
    expect(() => book.hello(ben.node, attempt(ticket))).toThrow(expect.objectContaining(refused));
    expect((await reopenBook()).anyOpen()).toBe(false);
  });

  it('takes one proof per hello', async () => {
    const { book, invite, attempt } = await openBook();
    const bens = attempt((await invite()).ticket);
    const proof = bens.prove(book.hello(ben.node, bens));
    const request = { ticketId: bens.ticketId, name: 'ben', publicKey: ben.publicKey };
    await expect(book.admit(ben.node, { ...request, proof: proof.subarray(1) })).rejects.toMatchObject(refused);
    await expect(book.admit(ben.node, { ...request, proof })).rejects.toMatchObject(refused);
  });

  it('tells an unknown ticket and a wrong nonce apart from nothing', async () => {
    const { book, invite, attempt } = await openBook();
    const { ticketId, nonce } = attempt((await invite()).ticket);
    const texts = [
      { ticketId: new Uint8Array(8), nonce },
      { ticketId: new Uint8Array(0), nonce },
      { ticketId, nonce: new Uint8Array(31) },
    ].map((request) => {
      try {
        book.hello(eve.node, request);
      } catch (error) {
        return (error as Error).message;
      }
      return 'answered';
    });
    expect(new Set(texts).size).toBe(1);
    expect(texts).not.toContain('answered');
  });

  it('remembers a bounded number of hellos, each newcomer’s latest', async () => {
    const { book, invite, attempt, list } = await openBook();
    const { ticket } = await invite();
    const bens = attempt(ticket);
    const proof = bens.prove(book.hello(ben.node, bens));
    for (let count = 0; count < PENDING_HELLOS_MAX; count++) book.hello(device(`flood ${count}`).node, bens);
    const request = { ticketId: bens.ticketId, proof, name: 'ben', publicKey: ben.publicKey };
    await expect(book.admit(ben.node, request)).rejects.toMatchObject(refused);
    await join(book, attempt(ticket));
    expect(list.isMember(ben.node)).toBe(true);
  });
});
