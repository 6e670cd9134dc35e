import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { publicKeyOf, verifySignature } from '../../../node/trust/ed25519.ts';
import { FORGED_PER_MERGE_MAX, STATEMENT_BYTES_MAX } from '../../../node/trust/limits.ts';
import { StatementSet } from '../../../node/trust/statement-set.ts';
import { type Claim, meshIdOf, readStatement, type Statement, signStatement } from '../../../node/trust/statements.ts';
import { readMessage, writeMessage } from '../../../protocol/codec.ts';
import { SignedStatementSchema } from '../../../protocol/messages/weft_pb.js';
import { device } from './fakes.ts';

const rootSeed = new Uint8Array(32).fill(1);
const rootKey = publicKeyOf(rootSeed);
const meshId = meshIdOf(rootKey);
const [ada, ben, cy, dan, eve] = ['ada', 'ben', 'cy', 'dan', 'eve'].map(device) as [
  ReturnType<typeof device>,
  ReturnType<typeof device>,
  ReturnType<typeof device>,
  ReturnType<typeof device>,
  ReturnType<typeof device>,
];
const devices = [ada, ben, cy, dan, eve];

const emptySet = (verify = verifySignature): StatementSet => new StatementSet({ verify }, { rootKey });
const setOf = (...statements: readonly Statement[]): StatementSet => {
  const set = emptySet();
  set.absorb(statements.map((statement) => statement.encoded));
  return set;
};
const membersOf = (set: StatementSet): string[] =>
  [...set.evaluation.members.values()].map(({ node, name, role }) => `${node} ${name} ${role}`);

let time = 1_000;
function state(seed: Uint8Array, claim: Claim, ...standsOn: readonly Statement[]): Statement {
  time += 1;
  return signStatement({ meshId, seed, claim, standsOn: standsOn.map(({ id }) => id), issuedAtMs: time });
}
const admin = (key: { node: string }): Claim => ({ kind: 'add', node: key.node, role: 'admin', name: 'an admin' });
const member = (key: { node: string }): Claim => ({ kind: 'add', node: key.node, role: 'member', name: 'a member' });
const revoke = (key: { node: string }): Claim => ({ kind: 'revoke', node: key.node, reason: 'lost' });

/** A history: who says what of whom. Admins stand on any earlier statement that made them one, in force or not. */
const history = fc
  .array(
    fc.record({
      issuer: fc.integer({ min: -1, max: devices.length - 1 }),
      target: fc.integer({ min: 0, max: devices.length - 1 }),
      what: fc.constantFrom('admin', 'admin', 'member', 'revoke'),
      base: fc.nat(),
      at: fc.integer({ min: 0, max: 3 }),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .map((steps) => {
    const statements: Statement[] = [];
    for (const { issuer, target, what, base, at } of steps) {
      const about = devices[target] ?? ada;
      const claim: Claim =
        what === 'revoke'
          ? revoke(about)
          : { kind: 'add', node: about.node, role: what as 'admin', name: `name ${at}` };
      const by = devices[issuer];
      const bases = statements.filter(
        (other) => other.claim.kind === 'add' && other.claim.role === 'admin' && other.claim.node === by?.node,
      );
      const chosen = bases.length === 0 ? [] : [bases[base % bases.length] as Statement];
      const seed = by?.seed ?? rootSeed;
      const standsOn = (by === undefined ? [] : chosen).map(({ id }) => id);
      statements.push(signStatement({ meshId, seed, claim, standsOn, issuedAtMs: at }));
    }
    return statements;
  });

describe('statements', () => {
  it('are read back as they were made, and fit their bound at the longest', () => {
    const base = state(rootSeed, admin(ada));
    const claim: Claim = { kind: 'add', node: ben.node, role: 'member', name: 'ü'.repeat(32) };
    const made = state(ada.seed, claim, base, state(rootSeed, admin(ada)));
    expect(readStatement(made.encoded)).toEqual(made);
    expect(made.claim).toEqual(claim);
    expect(made.encoded.byteLength).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);
    const revocation = state(ada.seed, { kind: 'revoke', node: ben.node, reason: 'x'.repeat(500) }, base, base);
    expect(revocation.encoded.byteLength).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);
  });

  it('lose terminal escapes and invisible characters from names', () => {
    const { claim } = state(rootSeed, {
      kind: 'add',
      node: ada.node,
      role: 'admin',
      name: '\u001b[31mred\u202e\u0000',
    });
    expect(claim).toMatchObject({ name: '[31mred' });
  });

  it('that are noise are no statements', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(readStatement(bytes)).toBeUndefined();
      }),
    );
    const body = new Uint8Array(STATEMENT_BYTES_MAX + 1);
    const tooLong = writeMessage(SignedStatementSchema, { body, signature: new Uint8Array(64) });
    expect(readStatement(tooLong)).toBeUndefined();
  });
});

describe('a set of statements', () => {
  it('means the same in any order, any partition, and with any repetition', () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat()), fc.array(fc.integer({ min: 1, max: 4 })), (statements, keys, sizes) => {
        const inOrder = setOf(...statements);
        const shuffled = statements
          .map((statement, index) => ({ statement, key: keys[index % (keys.length || 1)] ?? 0 }))
          .sort((a, b) => a.key - b.key || (a.statement.id < b.statement.id ? -1 : 1))
          .map(({ statement }) => statement.encoded);
        const apart = emptySet();
        for (let from = 0, turn = 0; from < shuffled.length; turn++) {
          const size = sizes[turn % (sizes.length || 1)] ?? 1;
          apart.absorb(shuffled.slice(from, from + size));
          apart.absorb(shuffled.slice(0, 1));
          from += size;
        }
        expect(membersOf(apart)).toEqual(membersOf(inOrder));
        expect(apart.digest).toEqual(inOrder.digest);
        // What one passes on, another takes over in one go.
        const copy = emptySet();
        copy.absorb(apart.encoded());
        expect(copy.digest).toEqual(inOrder.digest);
      }),
      { numRuns: 150 },
    );
  });

  it('never takes back a revocation, whatever the admins say later', () => {
    fc.assert(
      fc.property(history, fc.nat(), (statements, cut) => {
        const at = cut % (statements.length + 1);
        const before = setOf(...statements.slice(0, at));
        const later = statements
          .slice(at)
          .filter(({ claim, issuer }) => claim.kind === 'revoke' || issuer !== before.root);
        const after = setOf(...statements.slice(0, at), ...later);
        for (const node of before.evaluation.revoked) expect(after.evaluation.members.has(node)).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  it('ignores forged statements; with verification off, the same ones are believed', () => {
    const base = state(rootSeed, admin(ada));
    // Eve signs with her own key what claims to be from the root.
    const genuine = state(rootSeed, member(dan));
    const forgery = state(rootSeed, admin(eve));
    const forged = writeMessage(SignedStatementSchema, {
      body: bodyOf(forgery),
      signature: new Uint8Array(64).fill(9),
    });
    const offered = [base.encoded, forged, genuine.encoded];
    const guarded = emptySet();
    expect(guarded.absorb(offered)).toEqual({ taken: 2, forged: 1, refused: 0 });
    expect([...guarded.evaluation.members.keys()].sort()).toEqual([ada.node, dan.node].sort());
    // A forged copy does not keep the true one out.
    guarded.absorb([forgery.encoded]);
    expect(guarded.evaluation.members.has(eve.node)).toBe(true);

    const unguarded = emptySet(() => true);
    unguarded.absorb(offered);
    expect(unguarded.evaluation.members.get(eve.node)?.role).toBe('admin');
  });

  it('gives up on an offer full of forgeries, and takes the next one whole', () => {
    const forgeries = Array.from({ length: 300 }, (_, index) =>
      writeMessage(SignedStatementSchema, {
        body: bodyOf(state(rootSeed, member(eve))),
        signature: new Uint8Array(64).fill(index),
      }),
    );
    let verified = 0;
    const set = emptySet((...args) => {
      verified += 1;
      return verifySignature(...args);
    });
    expect(set.absorb(forgeries)).toEqual({ taken: 0, forged: FORGED_PER_MERGE_MAX, refused: 0 });
    expect(verified).toBe(FORGED_PER_MERGE_MAX);
    expect(set.absorb([state(rootSeed, admin(ada)).encoded])).toEqual({ taken: 1, forged: 0, refused: 0 });
  });

  it('verifies nothing that stands on nothing, and keeps a bounded number of it', () => {
    let verified = 0;
    const set = emptySet((...args) => {
      verified += 1;
      return verifySignature(...args);
    });
    const root = state(rootSeed, admin(ada));
    const child = state(ada.seed, member(ben), root);
    set.absorb([child.encoded]);
    const orphans = Array.from({ length: 300 }, () => state(eve.seed, admin(eve)));
    set.absorb(orphans.map(({ encoded }) => encoded));
    expect(verified).toBe(0);
    // The flood has pushed the waiting child out; it comes again with its sender's whole list.
    set.absorb([root.encoded]);
    expect(set.evaluation.members.has(ben.node)).toBe(false);
    set.absorb([root.encoded, child.encoded]);
    expect(set.evaluation.members.has(ben.node)).toBe(true);
  });

  it('ignores statements of another mesh', () => {
    const otherSeed = new Uint8Array(32).fill(2);
    const other = signStatement({
      meshId: meshIdOf(publicKeyOf(otherSeed)),
      seed: otherSeed,
      claim: admin(eve),
      standsOn: [],
      issuedAtMs: 1,
    });
    expect(setOf(other).evaluation.members.size).toBe(0);
    // Nor does the other root become ours by naming our mesh.
    const intruder = state(otherSeed, admin(eve));
    expect(setOf(intruder).evaluation.members.size).toBe(0);
  });

  it('gives members no say', () => {
    const base = state(rootSeed, admin(ada));
    const isMember = state(ada.seed, member(ben), base);
    const upstart = state(ben.seed, admin(ben), isMember);
    const guest = state(ben.seed, member(eve), isMember);
    const throwsOut = state(ben.seed, revoke(ada), isMember);
    const borrowed = state(ben.seed, member(eve), base);
    const set = setOf(base, isMember, upstart, guest, throwsOut, borrowed);
    expect([...set.evaluation.members.values()].map(({ node, role }) => [node, role])).toEqual(
      [
        [ada.node, 'admin'],
        [ben.node, 'member'],
      ].sort(),
    );
  });
});

describe('revoking', () => {
  const base = state(rootSeed, admin(ada));
  const second = state(ada.seed, admin(ben), base);

  it('an admin takes out whom it alone brought in, and leaves whom another vouches for', () => {
    const byBen = state(ben.seed, member(cy), second);
    const byBenToo = state(ben.seed, member(dan), second);
    const byAda = state(ada.seed, member(dan), base);
    const set = setOf(base, second, byBen, byBenToo, byAda, state(ada.seed, revoke(ben), base));
    expect([...set.evaluation.members.keys()].sort()).toEqual([ada.node, dan.node].sort());
  });

  it('leaves what the admin itself revoked revoked', () => {
    const present = state(ada.seed, member(cy), base);
    const thrownOut = state(ben.seed, revoke(cy), second);
    const set = setOf(base, second, present, thrownOut, state(ada.seed, revoke(ben), base));
    expect([...set.evaluation.members.keys()]).toEqual([ada.node]);
  });

  it('lets a stolen key of a revoked admin bring nobody in, however it dates its statements', () => {
    const set = setOf(base, second, state(ada.seed, revoke(ben), base));
    const backdated = signStatement({
      meshId,
      seed: ben.seed,
      claim: admin(eve),
      standsOn: [second.id],
      issuedAtMs: 0,
    });
    set.absorb([backdated.encoded, state(eve.seed, member(dan), backdated).encoded]);
    expect([...set.evaluation.members.keys()]).toEqual([ada.node]);
  });

  it('of the device that the root added needs the root', () => {
    const set = setOf(base, second, state(ben.seed, revoke(ada), second));
    expect(set.evaluation.members.has(ada.node)).toBe(true);
    set.absorb([state(rootSeed, revoke(ada)).encoded]);
    // Ben came in by Ada's word.
    expect(set.evaluation.members.size).toBe(0);
  });

  it('each other leaves neither of two admins', () => {
    const third = state(ada.seed, admin(cy), base);
    const set = setOf(base, second, third, state(ben.seed, revoke(cy), second), state(cy.seed, revoke(ben), third));
    expect([...set.evaluation.members.keys()]).toEqual([ada.node]);
  });
});

function bodyOf(statement: Statement): Uint8Array {
  return readMessage(SignedStatementSchema, statement.encoded).body;
}
