// The payloads of the calls that are made most, by hand (see flat.ts): texts to encode, their vectors' envelope, tokens.
import { FIELD_BYTES_MAX, FlatReader, FlatWriter } from './flat.ts';
import type { ModelRef } from './ids.ts';
import { MESSAGE_ELEMENTS_MAX } from './limits.ts';
import type { EncodeRequest, Timing } from './messages/weft_pb.js';
import type { Plain } from './wire.ts';

const textBytesMax = (text: string): number => 3 * text.length + FIELD_BYTES_MAX;
const written = ({ bytes, pos }: FlatWriter): Uint8Array => bytes.subarray(0, pos);

/** `weft.v1.EncodeRequest` */
export function writeEncodeRequest(request: {
  readonly model: ModelRef;
  readonly pooling: string;
  readonly normalize: boolean;
}): Uint8Array {
  const { model, pooling, normalize } = request;
  const bytesMax = textBytesMax(model.id) + textBytesMax(model.digest) + textBytesMax(pooling) + 2 * FIELD_BYTES_MAX;
  const writer = new FlatWriter(new Uint8Array(bytesMax));
  const start = writer.open(1);
  writer.string(1, model.id);
  writer.string(2, model.digest);
  writer.close(start);
  writer.string(2, pooling);
  writer.bool(3, normalize);
  return written(writer);
}

/** @throws WeftError `frame_invalid` */
export function readEncodeRequest(bytes: Uint8Array): Plain<EncodeRequest> {
  const reader = new FlatReader(bytes);
  let model: ModelRef | undefined;
  let pooling = '';
  let normalize = false;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) model = readModel(reader.message());
    else if (field === 2) pooling = reader.string();
    else if (field === 3) normalize = reader.bool();
    else reader.skip();
  }
  return model === undefined ? { pooling, normalize } : { model, pooling, normalize };
}

function readModel(reader: FlatReader): ModelRef {
  const model = { id: '', digest: '' };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) model.id = reader.string();
    else if (field === 2) model.digest = reader.string();
    else reader.skip();
  }
  return model;
}

/** `weft.v1.EncodeResponse` */
export function writeEncodeResponse({
  timing,
  node,
}: {
  readonly timing: Plain<Timing>;
  readonly node: string;
}): Uint8Array {
  const writer = new FlatWriter(new Uint8Array(textBytesMax(node) + 6 * FIELD_BYTES_MAX));
  const start = writer.open(1);
  writer.double(1, timing.queueMs);
  writer.double(2, timing.loadMs);
  writer.double(3, timing.computeMs);
  writer.double(4, timing.prefillMs);
  writer.close(start);
  writer.string(2, node);
  return written(writer);
}

/** @throws WeftError `frame_invalid` */
export function readEncodeResponse(bytes: Uint8Array): { readonly timing: Plain<Timing>; readonly node: string } {
  const reader = new FlatReader(bytes);
  const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
  let node = '';
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) readTiming(reader.message(), timing);
    else if (field === 2) node = reader.string();
    else reader.skip();
  }
  return { timing, node };
}

function readTiming(reader: FlatReader, timing: { -readonly [Key in keyof Plain<Timing>]: number }): void {
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) timing.queueMs = reader.double();
    else if (field === 2) timing.loadMs = reader.double();
    else if (field === 3) timing.computeMs = reader.double();
    else if (field === 4) timing.prefillMs = reader.double();
    else reader.skip();
  }
}

/** The fields of `weft.v1.GenerateItem`; lists of log probabilities only where there are any. */
export interface GenerateItemFields {
  readonly firstIndex: number;
  readonly ids: readonly number[];
  readonly logprobs?: readonly number[];
  readonly topIds?: readonly number[];
  readonly topLogprobs?: readonly number[];
}

const NONE: readonly number[] = [];

/** `weft.v1.GenerateItem` */
export function writeGenerateItem(item: GenerateItemFields): Uint8Array {
  const { firstIndex, ids, logprobs = NONE, topIds = NONE, topLogprobs = NONE } = item;
  const elements = ids.length + logprobs.length + topIds.length + topLogprobs.length;
  const writer = new FlatWriter(new Uint8Array((6 + elements) * FIELD_BYTES_MAX));
  writer.uint(1, firstIndex);
  writeUints(writer, 2, ids);
  writeFloats(writer, 3, logprobs);
  writeUints(writer, 4, topIds);
  writeFloats(writer, 5, topLogprobs);
  return written(writer);
}

function writeUints(writer: FlatWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  const list = writer.open(field);
  for (const value of values) writer.varint(value);
  writer.close(list);
}

function writeFloats(writer: FlatWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  const list = writer.open(field);
  for (const value of values) writer.float(value);
  writer.close(list);
}

/** @throws WeftError `frame_invalid` */
export function readGenerateItem(bytes: Uint8Array): GenerateItemFields {
  const reader = new FlatReader(bytes);
  let firstIndex = 0;
  const ids: number[] = [];
  const logprobs: number[] = [];
  const topIds: number[] = [];
  const topLogprobs: number[] = [];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) firstIndex = reader.uint32();
    else if (field === 2) reader.uints(ids, MESSAGE_ELEMENTS_MAX);
    else if (field === 3) reader.floats(logprobs, MESSAGE_ELEMENTS_MAX);
    else if (field === 4) reader.uints(topIds, MESSAGE_ELEMENTS_MAX);
    else if (field === 5) reader.floats(topLogprobs, MESSAGE_ELEMENTS_MAX);
    else reader.skip();
  }
  const reported = logprobs.length + topIds.length + topLogprobs.length > 0;
  return reported ? { firstIndex, ids, logprobs, topIds, topLogprobs } : { firstIndex, ids };
}
