// Bytes that released versions wrote, which every later version must still read as what they meant.
import { readFileSync } from 'node:fs';
import type { DescMessage } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../protocol/codec.ts';
import { FrameReader, type HeaderKind, TensorAssembler } from '../../protocol/frame.ts';
import * as pb from '../../protocol/messages/weft_pb.js';
import { type AnyMethod, PEER_METHODS, RUNNER_METHODS } from '../../protocol/methods.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import { type Recorded, recordAll } from '../fixtures/wire/record.ts';
import { fromTaggedJson } from '../fixtures/wire/tagged-json.ts';
import { cutBytes } from './arbitraries.ts';

const VERSIONS = ['v1'];
const METHODS: readonly AnyMethod[] = [...Object.values(PEER_METHODS), ...Object.values(RUNNER_METHODS)];

const file = (version: string, name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/wire/${version}/${name}`, import.meta.url)));

/** The one message in these bytes, whatever the pieces in which they come. */
function readOne(
  bytes: Uint8Array,
  lengths: readonly number[],
): { callId: number; kind: unknown; tensors: NamedTensor[] } {
  let first: { callId: number; kind: HeaderKind; tensors: TensorAssembler } | undefined;
  const reader = new FrameReader({
    header: (header) => {
      if (first === undefined) {
        first = { callId: header.callId, kind: header.kind, tensors: new TensorAssembler(header.tensors) };
      } else expect(header).toMatchObject({ callId: first.callId, kind: { case: 'more' } });
    },
    body: (piece) => first?.tensors.write(piece),
  });
  for (const chunk of cutBytes(bytes, lengths)) reader.push(chunk);
  expect(reader.atFrameBoundary).toBe(true);
  if (first === undefined) throw new Error('no frame');
  return { ...first, tensors: first.tensors.finish() };
}

describe.each(VERSIONS)('bytes of %s', (version) => {
  const entries = fromTaggedJson(new TextDecoder().decode(file(version, 'manifest.json'))) as Recorded[];

  it.each(entries.map((entry) => [entry.file, entry] as const))('%s means what it meant', (name, entry) => {
    const bytes = file(version, name);
    if (entry.what === 'document') {
      const schema = (pb as unknown as Record<string, DescMessage>)[`${entry.schema}Schema`];
      if (schema === undefined) throw new Error(`${entry.schema} is gone`);
      expect(readMessage(schema, bytes)).toMatchObject(entry.value as object);
      return;
    }
    for (const lengths of [[bytes.byteLength], [1], [7, 3]]) {
      const message = readOne(bytes, lengths);
      if (entry.what === 'frame') {
        expect(message).toMatchObject(entry.value as object);
        continue;
      }
      const method = METHODS.find(({ id, version: spoken }) => id === entry.method && spoken === entry.version);
      if (method === undefined) throw new Error(`method ${entry.method} is gone`);
      const { payload } = (message.kind as { value: { payload: Uint8Array } }).value;
      expect(method[entry.what].decode({ payload, tensors: message.tensors })).toMatchObject(entry.value as object);
    }
  });

  it('cover every method, and every kind of frame', () => {
    const files = new Set(entries.map((entry) => entry.file));
    for (const { id, name, item, version: spoken } of METHODS) {
      const covered = entries.filter((entry) => entry.method === id && entry.version === spoken);
      const streams = item === PEER_METHODS.generate.item || item === PEER_METHODS.watch.item;
      expect([name, covered.length]).toEqual([name, streams ? 3 : 2]);
    }
    for (const kind of ['call', 'ack', 'item', 'end', 'fault', 'cancel', 'more']) {
      expect(files).toContain(`frame-${kind}.bin`);
    }
  });
});

describe('this version', () => {
  const { files, entries } = recordAll();
  it.each(entries.map((entry) => entry.file))('writes %s as recorded', (name) => {
    expect(Buffer.from(files.get(name) ?? []).toString('hex')).toBe(Buffer.from(file('v1', name)).toString('hex'));
  });
});
