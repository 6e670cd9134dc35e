// What `manage` carries: JSON texts within bounds that hold at both ends, whoever wrote them.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MANAGED_OPERATIONS, managedOperation } from '../../protocol/api/control.ts';
import { type Advert, withheldBy } from '../../protocol/capability.ts';
import {
  advertFromMessage,
  advertToMessage,
  manageRequestCodec,
  manageResponseCodec,
  readMessage,
  writeMessage,
} from '../../protocol/codec.ts';
import {
  MANAGE_ANSWER_BYTES_MAX,
  MANAGE_DEPTH_MAX,
  MANAGE_REQUEST_BYTES_MAX,
  OPERATION_LENGTH_MAX,
} from '../../protocol/limits.ts';
import * as pb from '../../protocol/messages/weft_pb.js';

const encode = (advert: Advert): Uint8Array => writeMessage(pb.AdvertSchema, advertToMessage(advert));

const NO_TENSORS = { tensors: [] };
const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
/** As an attacker writes it. */
const request = (operation: string, json: string) => ({
  payload: writeMessage(pb.ManageRequestSchema, { operation, json }),
  ...NO_TENSORS,
});
const response = (status: number, json: string) => ({
  payload: writeMessage(pb.ManageResponseSchema, { status, json }),
  ...NO_TENSORS,
});

describe('requests', () => {
  it('come back as they were sent', () => {
    const sent = { operation: 'configure', json: '{"a":"] [ \\" {","ü":[1]}' };
    expect(manageRequestCodec.decode({ ...manageRequestCodec.encode(sent), ...NO_TENSORS })).toEqual(sent);
  });

  it('are refused where they are too large, too deep, or of no name, at both ends', () => {
    // Two bytes each.
    const large = JSON.stringify('ü'.repeat(MANAGE_REQUEST_BYTES_MAX / 2));
    expect(() => manageRequestCodec.encode({ operation: 'x', json: large })).toThrow(/larger/);
    expect(() => manageRequestCodec.decode(request('x', large))).toThrow(/larger/);
    const deep = nested(MANAGE_DEPTH_MAX + 1);
    expect(() => manageRequestCodec.encode({ operation: 'x', json: deep })).toThrow(/nested/);
    expect(() => manageRequestCodec.decode(request('x', deep))).toThrow(/nested/);
    expect(() => manageRequestCodec.decode(request('x'.repeat(OPERATION_LENGTH_MAX + 1), '{}'))).toThrow(/long/);
    expect(manageRequestCodec.decode(request('x', nested(MANAGE_DEPTH_MAX)))).toMatchObject({ operation: 'x' });
    // Brackets in texts are no nesting.
    expect(manageRequestCodec.decode(request('x', JSON.stringify('['.repeat(100))))).toMatchObject({ operation: 'x' });
  });

  it('twin: what is nested that deep overflows the stack of whoever copies it or prints it', () => {
    const deep: unknown = JSON.parse(nested(MANAGE_REQUEST_BYTES_MAX / 2));
    expect(() => structuredClone(deep)).toThrow(RangeError);
    expect(() => JSON.stringify(deep, undefined, 1)).toThrow(RangeError);
  });
});

describe('answers', () => {
  it('that are none are the fault of who answers', () => {
    for (const bad of [
      response(200, JSON.stringify('x'.repeat(MANAGE_ANSWER_BYTES_MAX))),
      response(200, nested(MANAGE_DEPTH_MAX + 1)),
      response(401, '{}'),
      response(0, '{}'),
    ]) {
      expect(() => manageResponseCodec.decode(bad)).toThrow(expect.objectContaining({ code: 'frame_invalid' }));
    }
    expect(manageResponseCodec.decode(response(202, '{}'))).toEqual({ status: 202, json: '{}' });
  });

  it('are not sent where they are too large', () => {
    const json = JSON.stringify('x'.repeat(MANAGE_ANSWER_BYTES_MAX));
    expect(() => manageResponseCodec.encode({ status: 200, json })).toThrow(
      expect.objectContaining({ code: 'body_too_large' }),
    );
  });
});

describe('the table of operations', () => {
  it('has names that mean one thing, and paths that are told apart', () => {
    const paths = Object.values(MANAGED_OPERATIONS).map(({ method, path }) => `${method} ${path}`);
    expect(new Set(paths).size).toBe(paths.length);
    for (const name of Object.keys(MANAGED_OPERATIONS)) expect(name.length).toBeLessThanOrEqual(OPERATION_LENGTH_MAX);
    expect(managedOperation('status')).toBe('status');
    for (const name of ['__proto__', 'constructor', 'stop', 'key', '']) expect(managedOperation(name)).toBeUndefined();
  });

  it('lets nothing be changed that is not written down', () => {
    for (const [name, row] of Object.entries(MANAGED_OPERATIONS)) {
      expect([name, 'changes' in row]).toEqual([name, row.method !== 'GET']);
      expect(row.answer).toBeInstanceOf(z.ZodType);
    }
  });
});

describe('an advert', () => {
  const advert = {
    node: 'a',
    name: 'a',
    version: '1',
    incarnation: 1,
    sequence: 1,
    addresses: [],
    hardware: { platform: 'linux', arch: 'x64', cpuModel: 'x', cpuCount: 1, memoryBytes: 1, devices: [] },
    offers: [],
    load: { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 },
  };

  it('says who may manage the node; a word that is not known allows nobody, and no word is not a word', () => {
    const read = (managed: string | undefined): unknown => {
      const message = { ...advertToMessage(advert), ...(managed === undefined ? {} : { managed }) };
      return advertFromMessage(readMessage(pb.AdvertSchema, writeMessage(pb.AdvertSchema, message))).managed;
    };
    expect(['admins', 'none', 'everybody', undefined].map(read)).toEqual(['admins', 'none', 'none', undefined]);
    expect(advertToMessage({ ...advert, managed: 'admins' }).managed).toBe('admins');
  });

  it('says why the node takes no work; an older one says nothing, and words that are not known are none', () => {
    const read = (yields: readonly string[]) => {
      const message = { ...advertToMessage(advert), yields: [...yields] };
      return advertFromMessage(readMessage(pb.AdvertSchema, writeMessage(pb.AdvertSchema, message)));
    };
    expect(read([])).not.toHaveProperty('yields');
    expect(read(['paused', 'x'.repeat(1_000), '__proto__', 'paused', 'UNLENT'])).toMatchObject({ yields: ['paused'] });
    // However often it is said: what is kept is bounded by what there is to say.
    expect(read(Array<string>(1_000).fill('unlent')).yields).toEqual(['unlent']);
    expect(read(['nonsense'])).not.toHaveProperty('yields');
    const told = { ...advert, yields: ['battery', 'unlent', 'paused'] } as const;
    expect(advertFromMessage(readMessage(pb.AdvertSchema, encode(told)))).toMatchObject({ yields: told.yields });
    expect([[], ['battery', 'owner'], ['paused'], ['unlent'], told.yields].map(read).map(withheldBy)).toEqual([
      undefined,
      undefined,
      'paused',
      'unlent',
      'unlent',
    ]);
  });
});
