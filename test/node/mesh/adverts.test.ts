import { describe, expect, it } from 'vitest';
import {
  acquaintance,
  checkAcquaintance,
  checkAdvert,
  decodeAdvert,
  encodeAdvert,
} from '../../../node/mesh/adverts.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import type { Advert } from '../../../protocol/capability.ts';
import { syncRequestCodec } from '../../../protocol/codec.ts';
import { DEMANDS_MAX, INTENTS_MAX } from '../../../protocol/limits.ts';
import { AdvertSchema } from '../../../protocol/messages/weft_pb.js';
import { readMessage, writeMessage } from '../../../protocol/wire.ts';
import { LOAD, makeAdvert } from './support.ts';

function advert(overrides: Partial<Advert> = {}): Advert {
  return { ...makeAdvert('peer'), sequence: 1, addresses: [], load: LOAD, ...overrides };
}
const offer = {
  model: { id: 'owner/name', digest: `sha256:${'0'.repeat(64)}` },
  task: 'tensor' as const,
  state: 'disk' as const,
  contextLength: 0,
  dimensions: 0,
  sizeBytes: 1,
  profile: { fixedMs: 0, perTokenMs: 0, decodeMs: 0, loadMs: 0, samples: 0 },
  aliases: [],
};
const { directory, sync } = MESH_LIMITS;

describe('adverts', () => {
  it('survive the wire', () => {
    const said = advert({ addresses: ['/ip4/127.0.0.1/tcp/1'], offers: [offer] });
    expect(decodeAdvert(encodeAdvert(said))).toEqual(said);
  });

  it('tell what a node is about to do and how much is asked of it, within bounds', () => {
    const intents = [{ digest: 'sha256:a', kind: 'load', sinceMs: 12.5 }] as const;
    const demand = [{ digest: 'sha256:a', requests: 1.5, busyMs: 20, lostMs: 30, coldMs: 10 }];
    const said = advert({ intents, demand });
    expect(decodeAdvert(encodeAdvert(said))).toEqual(said);

    const message = readMessage(AdvertSchema, encodeAdvert(said));
    const [intent] = message.intents;
    const [one] = message.demand;
    if (intent === undefined || one === undefined) throw new Error('they did not travel');
    // Of a later version, endless, not a number, and far too many.
    message.intents = [
      { ...intent, kind: 'borrow' },
      { ...intent, digest: 'x'.repeat(1_000) },
    ];
    for (let more = 0; more < 100; more++) message.intents.push({ ...intent, sinceMs: Number.NaN });
    message.demand = Array.from({ length: 100 }, () => ({ ...one, lostMs: Number.POSITIVE_INFINITY, requests: -1 }));
    const heard = decodeAdvert(writeMessage(AdvertSchema, message));
    expect(heard.intents).toHaveLength(INTENTS_MAX - 2);
    expect(heard.intents?.[0]?.sinceMs).toBe(0);
    expect(heard.demand).toHaveLength(DEMANDS_MAX);
    expect(heard.demand?.[0]).toMatchObject({ lostMs: 0, requests: 0 });
  });

  it('can be passed on whatever sizes they say', () => {
    const most = 2n ** 64n - 1n;
    const said = advert({ offers: [offer], held: [{ model: offer.model, sizeBytes: 1, heldBytes: 1 }] });
    const message = readMessage(AdvertSchema, encodeAdvert(said));
    for (const one of [...message.offers, ...message.held]) one.sizeBytes = most;
    for (const one of message.held) one.heldBytes = most;
    if (message.load !== undefined) message.load.memoryFreeBytes = most;
    if (message.hardware !== undefined) message.hardware.memoryBytes = most;
    const heard = decodeAdvert(writeMessage(AdvertSchema, message));
    expect(heard.held).toMatchObject([{ sizeBytes: Number.MAX_SAFE_INTEGER }]);
    expect(decodeAdvert(encodeAdvert(heard))).toEqual(heard);
  });

  for (const [what, overrides] of [
    ['addresses', { addresses: Array(directory.addressesMax + 1).fill('/ip4/1.2.3.4/tcp/1') }],
    ['an address that long', { addresses: ['x'.repeat(directory.addressLengthMax + 1)] }],
    ['offers', { offers: Array(directory.offersMax + 1).fill(offer) }],
    ['a name that long', { name: 'x'.repeat(directory.nameLengthMax + 1) }],
    ['an incarnation that large', { incarnation: 2 ** 60 }],
  ] as const) {
    it(`are refused with too many ${what}`, () => {
      expect(() => checkAdvert(advert(overrides), MESH_LIMITS)).toThrow(/out of bounds/);
    });
  }

  it('are refused in a sync with too many of them, or of statements', () => {
    const known = Array(sync.advertsMax + 1).fill(advert());
    expect(() => checkAcquaintance({ advert: advert(), statements: [], known }, MESH_LIMITS)).toThrow(/out of bounds/);
    const statements = Array(sync.statementsMax + 1).fill(new Uint8Array(1));
    expect(() => checkAcquaintance({ advert: advert(), statements, known: [] }, MESH_LIMITS)).toThrow(/out of bounds/);
  });

  it('are told of as far as one message holds', () => {
    const offers = Array(200).fill(offer);
    const known = Array.from({ length: 100 }, (_, index) => advert({ node: `peer${index}`, offers }));
    const statements = Array(1_000).fill(new Uint8Array(300));
    const said = acquaintance(advert(), statements, known, MESH_LIMITS);
    expect(said.statements).toHaveLength(1_000);
    expect(said.known.length).toBeGreaterThan(5);
    expect(said.known.length).toBeLessThan(100);
    const bytes = syncRequestCodec.encode(said).payload.byteLength;
    expect(bytes).toBeLessThanOrEqual(sync.bytesMax);
    expect(bytes).toBeGreaterThan(sync.bytesMax / 2);
  });
});
