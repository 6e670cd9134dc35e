// Whose models are taken.
import { describe, expect, it } from 'vitest';
import { judgeSigners, type SignersInit } from '../../../models/signing/judge.ts';
import { nodeIdOf } from '../../../node/trust/node-id.ts';

const keyOf = (first: number): Uint8Array => new Uint8Array(32).fill(first);
const rawOf = (first: number): string => `ed25519:${Buffer.from(keyOf(first)).toString('hex')}`;
const MEMBER = nodeIdOf(keyOf(1));
const STRANGER = nodeIdOf(keyOf(2));
const OPENSSF = `openssf:${'ab'.repeat(32)}`;

const judge = (init: Partial<SignersInit>) =>
  judgeSigners({
    model: 'owner/name',
    setting: 'any',
    members: new Map([[MEMBER, 'desk']]),
    signed: [],
    invalid: [],
    ...init,
  });
const signed = (...keys: string[]) => keys.map((key) => ({ key }));

describe('who signed', () => {
  it('is told by name and standing', () => {
    const setting = [STRANGER, OPENSSF];
    expect(judge({ setting, signed: signed(MEMBER, STRANGER, OPENSSF, rawOf(3)) }).signers).toEqual([
      { key: MEMBER, name: 'desk', standing: 'member' },
      { key: STRANGER, name: undefined, standing: 'listed' },
      { key: OPENSSF, name: undefined, standing: 'listed' },
      { key: rawOf(3), name: undefined, standing: 'unknown' },
    ]);
  });

  it('is one signer, however often, under whichever of its names', () => {
    expect(judge({ signed: signed(MEMBER, rawOf(1), MEMBER) }).signers).toEqual([
      { key: MEMBER, name: 'desk', standing: 'member' },
    ]);
    expect(judge({ signed: signed(rawOf(1)) }).signers).toMatchObject([{ name: 'desk', standing: 'member' }]);
    expect(judge({ setting: [rawOf(1).toUpperCase()], signed: signed(MEMBER) }).signers).toMatchObject([
      { name: 'desk', standing: 'listed' },
    ]);
  });
});

describe('the setting', () => {
  it.each<[string, Partial<SignersInit>]>([
    ['any: unsigned', {}],
    ['any: by a stranger', { signed: signed(STRANGER) }],
    ['members: by one', { setting: 'members', signed: signed(STRANGER, MEMBER) }],
    ['members: by the key of one', { setting: 'members', signed: signed(rawOf(1)) }],
    ['a list: by a node', { setting: [STRANGER], signed: signed(STRANGER) }],
    ['a list: by a node, named by its key', { setting: [rawOf(2)], signed: signed(STRANGER) }],
    ['a list: by a key of model signing', { setting: [STRANGER, OPENSSF.toUpperCase()], signed: signed(OPENSSF) }],
  ])('lets in %s', (_what, init) => {
    expect(judge(init)).toMatchObject({ refusal: undefined, warnings: [] });
  });

  it.each<[string, Partial<SignersInit>, string, string]>([
    ['members: unsigned', { setting: 'members' }, 'Nobody has validly signed it.', 'set "signers" to "any"'],
    [
      'members: by others only',
      { setting: 'members', signed: signed(STRANGER, OPENSSF) },
      `It is signed by ${STRANGER} and ${OPENSSF}. The setting "signers" wants owner/name to be signed by a member of this mesh.`,
      `If you trust ${STRANGER}, list it`,
    ],
    [
      'a list: by a member that is not on it',
      { setting: [STRANGER, OPENSSF], signed: signed(MEMBER) },
      `It is signed by desk (${MEMBER}). The setting "signers" wants owner/name to be signed by ${STRANGER} or ${OPENSSF}.`,
      `If you trust ${MEMBER}, add it to the list`,
    ],
    [
      'an empty list',
      { setting: [], signed: signed(MEMBER) },
      'a key that is listed, and none is',
      'add it to the list',
    ],
    ['a list of no keys', { setting: ['', 'me', 'any'], signed: signed('', 'me', 'any') }, 'Nobody', 'any'],
    [
      'a long list',
      { setting: [1, 2, 3, 4, 5].map(rawOf), signed: signed(rawOf(6), rawOf(7), rawOf(8), rawOf(9)) },
      `${rawOf(3)} or 2 more.`,
      rawOf(6),
    ],
  ])('keeps out %s', (_what, init, message, remedy) => {
    const { refusal, warnings } = judge(init);
    expect(refusal).toMatchObject({ code: 'signature_invalid', facts: { model: 'owner/name' } });
    expect(refusal?.message).toContain(message);
    expect(refusal?.remedy).toContain(remedy);
    expect(warnings).toEqual([]);
    // The twin: under `any` it comes in.
    expect(judge({ ...init, setting: 'any' }).refusal).toBeUndefined();
  });

  it('keeps out what has an invalid signature beside it, whoever else signed; `any` warns of it', () => {
    const invalid = ['It is of another manifest.', 'It is not JSON.'];
    for (const setting of ['members', [MEMBER]] as const) {
      const { refusal } = judge({ setting, signed: signed(MEMBER), invalid });
      expect(refusal).toMatchObject({ code: 'signature_invalid' });
      expect(refusal?.message).toBe(
        `A signature beside owner/name is not valid: It is of another manifest. It is signed by desk (${MEMBER}).`,
      );
      // The twin: with the invalid one left out, the other is enough.
      expect(judge({ setting, signed: signed(MEMBER) }).refusal).toBeUndefined();
    }
    expect(judge({ signed: signed(MEMBER), invalid })).toMatchObject({
      refusal: undefined,
      warnings: [expect.stringContaining('another manifest'), expect.stringContaining('not JSON')],
    });
  });
});
