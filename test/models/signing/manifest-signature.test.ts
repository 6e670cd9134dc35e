// A publisher's signature of a manifest. Each check has a twin in which it is left out and what it stops gets through.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../models/manifest.ts';
import { AHEAD_MS_MAX, SIGNATURE_CHARS_MAX, SIGNATURES_MAX } from '../../../models/signing/limits.ts';
import {
  readSignatures,
  SIGNATURE_CHECKS,
  signManifest,
  verifySignatures,
} from '../../../models/signing/manifest-signature.ts';
import { publicKeyOf, signMessage } from '../../../node/trust/ed25519.ts';
import { nodeIdOf } from '../../../node/trust/node-id.ts';
import { runs } from '../../support/property.ts';
import { changesOf } from './json-changes.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const OTHER_DIGEST = `sha256:${'ab'.repeat(32)}`;
const AT_MS = 1_750_000_000_000;

const seedOf = (first: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, index) => (first + index) & 0xff);
const nodeOf = (seed: Uint8Array): string => nodeIdOf(publicKeyOf(seed));
const rawOf = (seed: Uint8Array): string => `ed25519:${Buffer.from(publicKeyOf(seed)).toString('hex')}`;

const sign = (seed = seedOf(0), { digest = DIGEST, atMs = AT_MS, key = nodeOf(seed) } = {}): Promise<string> =>
  signManifest(digest, { node: key, atMs, sign: (bytes) => signMessage(seed, bytes) });

type CheckName = keyof typeof SIGNATURE_CHECKS;
const allBut = (name: CheckName) =>
  Object.entries(SIGNATURE_CHECKS).flatMap(([one, check]) => (one === name ? [] : [check]));

/** The same fields with others in their place, in canonical form. */
const changed = (text: string, fields: object): string => canonicalJson({ ...JSON.parse(text), ...fields });

describe('a signature of a manifest', () => {
  it('says who has signed, and when', async () => {
    const texts = [await sign(seedOf(0)), await sign(seedOf(1), { atMs: AT_MS + 5, key: rawOf(seedOf(1)) })];
    expect(verifySignatures(DIGEST, texts, AT_MS)).toEqual([
      { key: nodeOf(seedOf(0)), atMs: AT_MS },
      { key: rawOf(seedOf(1)), atMs: AT_MS + 5 },
    ]);
  });

  it('is always the same bytes', async () => {
    expect(await sign(seedOf(0))).toBe(GOLDEN.node);
    expect(await sign(seedOf(0), { key: rawOf(seedOf(0)) })).toBe(GOLDEN.raw);
    expect(GOLDEN.node.length).toBeLessThan(SIGNATURE_CHARS_MAX);
    expect(verifySignatures(DIGEST, [GOLDEN.node], AT_MS)).toEqual([{ key: nodeOf(seedOf(0)), atMs: AT_MS }]);
    expect(verifySignatures(DIGEST, [GOLDEN.raw], AT_MS)).toEqual([{ key: rawOf(seedOf(0)), atMs: AT_MS }]);
  });

  it('is of its key: a node id and the hex of the same key are one signer, the latest counts', async () => {
    const texts = [
      await sign(seedOf(0), { atMs: AT_MS }),
      await sign(seedOf(0), { atMs: AT_MS + 2, key: rawOf(seedOf(0)) }),
      await sign(seedOf(0), { atMs: AT_MS + 1 }),
    ];
    expect(readSignatures(DIGEST, texts, AT_MS)).toEqual({
      valid: [{ key: rawOf(seedOf(0)), atMs: AT_MS + 2 }],
      invalid: [],
    });
  });

  it('is not made with another key than it names, or of something that is no digest', async () => {
    await expect(sign(seedOf(0), { key: nodeOf(seedOf(1)) })).rejects.toThrow('is not');
    await expect(
      signManifest(DIGEST, { node: nodeOf(seedOf(0)), atMs: 1, sign: () => new Uint8Array(63) }),
    ).rejects.toThrow();
    await expect(sign(seedOf(0), { digest: 'abc' })).rejects.toThrow();
    await expect(sign(seedOf(0), { key: 'me' })).rejects.toThrow();
    await expect(sign(seedOf(0), { atMs: -1 })).rejects.toThrow();
  });

  it('counts for nothing when anything in it is changed', async () => {
    const text = await sign();
    let count = 0;
    for (const { what, text: tampered } of changesOf(JSON.parse(text))) {
      // In the order of a canonical text, where it still is one, so that the order isn't what gives it away.
      const texts = [tampered, canonicalJson(JSON.parse(tampered))].filter((one) => one !== text);
      for (const one of texts) {
        const { valid, invalid } = readSignatures(DIGEST, [one], AT_MS);
        expect({ what, valid, problems: invalid.length }).toEqual({ what, valid: [], problems: 1 });
        count++;
      }
    }
    expect(count).toBeGreaterThan(100);
  });

  it('is read up to a bound: sixteen of a manifest, 512 characters each', async () => {
    const good = await sign();
    const bad = Array.from({ length: SIGNATURES_MAX }, () => 'x');
    expect(verifySignatures(DIGEST, [...bad, good], AT_MS)).toEqual([]);
    expect(verifySignatures(DIGEST, [...bad.slice(1), good], AT_MS)).toHaveLength(1);
    const spaces = ' '.repeat(SIGNATURE_CHARS_MAX - good.length);
    const withoutForm = allBut('canonical');
    expect(readSignatures(DIGEST, [good + spaces], AT_MS, withoutForm).valid).toHaveLength(1);
    expect(readSignatures(DIGEST, [`${good + spaces} `], AT_MS, withoutForm).valid).toEqual([]);
  });
});

describe('each check', () => {
  const ATTACKS: Record<CheckName, () => Promise<{ text: string; digest: string }>> = {
    canonical: async () => ({ text: (await sign()).replace('{', '{"schema":2,'), digest: DIGEST }),
    model: async () => ({ text: await sign(), digest: OTHER_DIGEST }),
    time: async () => ({ text: await sign(seedOf(0), { atMs: AT_MS + AHEAD_MS_MAX + 1 }), digest: DIGEST }),
    signature: async () => ({ text: changed(await sign(), { key: nodeOf(seedOf(9)) }), digest: DIGEST }),
  };

  it.each(Object.keys(ATTACKS) as CheckName[])('is needed: %s', async (name) => {
    const { text, digest } = await ATTACKS[name]();
    expect(readSignatures(digest, [text], AT_MS)).toMatchObject({ valid: [], invalid: [expect.any(String)] });
    // The twin without it.
    expect(readSignatures(digest, [text], AT_MS, allBut(name)).valid).toHaveLength(1);
  });

  it('needs every field to be signed: without the signature any other value of it would pass', async () => {
    const text = await sign();
    const others = [
      { atMs: AT_MS - 1 },
      { key: rawOf(seedOf(0)) },
      { key: nodeOf(seedOf(3)) },
      { signature: '00'.repeat(64) },
    ];
    for (const other of others) {
      expect(readSignatures(DIGEST, [changed(text, other)], AT_MS).valid).toEqual([]);
      expect(readSignatures(DIGEST, [changed(text, other)], AT_MS, allBut('signature')).valid).toHaveLength(1);
    }
    const moved = changed(text, { model: OTHER_DIGEST });
    expect(verifySignatures(OTHER_DIGEST, [moved], AT_MS)).toEqual([]);
    expect(readSignatures(OTHER_DIGEST, [moved], AT_MS, allBut('signature')).valid).toHaveLength(1);
  });

  it('lets clocks differ by a day', async () => {
    const text = await sign(seedOf(0), { atMs: AT_MS + AHEAD_MS_MAX });
    expect(verifySignatures(DIGEST, [text], AT_MS)).toHaveLength(1);
    expect(verifySignatures(DIGEST, [text], AT_MS - 1)).toEqual([]);
  });

  it('tells signatures of other things apart: what is signed begins with what it is for', async () => {
    const seed = seedOf(0);
    const said = { schema: 1, model: DIGEST, key: nodeOf(seed), atMs: AT_MS };
    const bare = Buffer.from(signMessage(seed, Buffer.from(canonicalJson(said)))).toString('hex');
    expect(verifySignatures(DIGEST, [canonicalJson({ ...said, signature: bare })], AT_MS)).toEqual([]);
    const domain = 'weft-manifest-signature-v1\0';
    const right = Buffer.from(signMessage(seed, Buffer.from(domain + canonicalJson(said)))).toString('hex');
    expect(verifySignatures(DIGEST, [canonicalJson({ ...said, signature: right })], AT_MS)).toHaveLength(1);
  });
});

describe('hostile texts', () => {
  it('never throw, and never pass', async () => {
    const good = await sign();
    const mutated = fc
      .tuple(
        fc.nat(good.length),
        fc.nat(8),
        fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 8 })),
      )
      .map(([at, length, by]) => good.slice(0, at) + by + good.slice(at + length));
    const digits = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.constantFrom(...'0123456789abcdef')), { minLength: 1, maxLength: 4 })
      .map((flips) => flips.reduce((text, [at, by]) => text.slice(0, at) + by + text.slice(at + 1), good));
    const any = fc.oneof(mutated, digits, fc.string(), fc.json(), fc.constant('['.repeat(500)));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 20 }), (texts) => {
        const hostile = texts.filter((text) => text !== good);
        expect(verifySignatures(DIGEST, hostile, AT_MS)).toEqual([]);
        expect(verifySignatures(DIGEST, [...hostile.slice(0, SIGNATURES_MAX - 1), good], AT_MS)).toHaveLength(1);
      }),
      runs(300),
    );
  });
});

/** Signed at AT_MS with the seed 00 01 02 … 1f. */
const GOLDEN = {
  node: '{"atMs":1750000000000,"key":"12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB","model":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","schema":1,"signature":"cfd14c853160d0077ce62189029bf02cd0fed652332a03c4859d237027da1b5866d88b1afff32ebe5601551066875e201edd8d2dc12a60ba86e9eb5a473e0800"}',
  raw: '{"atMs":1750000000000,"key":"ed25519:03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8","model":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","schema":1,"signature":"7713d6bc18a8a5c68e346de1759567f42da019b701d907380375f9e0b897c5c338eaf8c46fae5dc17a91b5b236978c5db1631a10bb2f34ccf6fe09b0fbc6b50a"}',
};
