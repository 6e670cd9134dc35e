// The header of a frame as protobuf `weft.v1.Header`, by hand: it comes with every frame, and is read and written cold.
import { WeftError } from './errors.ts';
import { FIELD_BYTES_MAX, FlatReader, FlatWriter } from './flat.ts';
import { TENSOR_RANK_MAX, TENSORS_MAX, TRACE_PARENT_LENGTH_MAX } from './limits.ts';
import { FaultSchema, type Header, type Load } from './messages/weft_pb.js';
import { DataType, type NamedTensor } from './tensor.ts';
import { type Plain, readMessage, writeMessage } from './wire.ts';

/** A tensor as a header declares it: nothing of it is checked yet. */
export interface TensorInfo {
  readonly name: string;
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly byteLength: number;
}

/** What a frame's header says, without its tensors: `{ case: 'item', value }` and so on. */
export type HeaderKind = Plain<Header>['kind'];

export interface FrameHeader {
  readonly callId: number;
  readonly kind: HeaderKind;
  readonly tensors: readonly TensorInfo[];
}

const KINDS = { call: 2, ack: 3, item: 4, end: 5, fault: 6, cancel: 7, more: 8 } as const;
const TENSORS = 9;
/** One more than a tensor may have: that it has too many is found out with the rest of its checks. */
const DIMS_READ_MAX = TENSOR_RANK_MAX + 1;
const NOTHING: Uint8Array = new Uint8Array(0);

const invalid = (message: string): WeftError => new WeftError({ code: 'frame_invalid', message });

/**
 * Writes a header.
 * @param before bytes left free in front of it, and `behind` it, for the rest of a frame
 * @returns memory that begins with what is left free, and where the header ends in it
 */
export function writeHeader(
  callId: number,
  kind: HeaderKind,
  tensors: readonly NamedTensor[],
  room: { readonly before: number; readonly behind: number },
): { readonly bytes: Uint8Array; readonly end: number } {
  const fault = kind.case === 'fault' ? writeMessage(FaultSchema, kind.value) : NOTHING;
  const bytesMax = sizeMax(kind, tensors) + fault.byteLength;
  const writer = new FlatWriter(new Uint8Array(room.before + bytesMax + room.behind), room.before);
  writer.uint(1, callId);
  if (kind.case === 'fault') {
    // An empty message is written too: it is what says that the header is a fault's.
    writer.varint((KINDS.fault << 3) | 2);
    writer.varint(fault.byteLength);
    writer.bytes.set(fault, writer.pos);
    writer.pos += fault.byteLength;
  } else if (kind.case !== undefined) {
    const start = writer.open(KINDS[kind.case]);
    writeKind(writer, kind);
    writer.close(start);
  }
  for (const { name, type, dims, data } of tensors) {
    const start = writer.open(TENSORS);
    writer.string(1, name);
    writer.uint(2, DataType[type]);
    if (dims.length > 0) {
      const list = writer.open(3);
      for (const dim of dims) writer.varint(dim);
      writer.close(list);
    }
    writer.uint(4, data.byteLength);
    writer.close(start);
  }
  return { bytes: writer.bytes, end: writer.pos };
}

/** More than enough room; a string's UTF-8 takes up to three bytes a unit. */
function sizeMax(kind: HeaderKind, tensors: readonly NamedTensor[]): number {
  let bytes = 16 * FIELD_BYTES_MAX;
  if (kind.case === 'call') {
    const { requestId, traceParent, payload } = kind.value;
    bytes += 3 * (requestId.length + traceParent.length) + payload.byteLength;
  } else if (kind.case === 'item' || kind.case === 'end') bytes += kind.value.payload.byteLength;
  else if (kind.case === 'cancel') bytes += 3 * kind.value.reason.length;
  for (const { name, dims } of tensors) bytes += 3 * name.length + (6 + dims.length) * FIELD_BYTES_MAX;
  return bytes;
}

function writeKind(writer: FlatWriter, kind: HeaderKind): void {
  switch (kind.case) {
    case 'call':
      writer.uint(1, kind.value.method);
      writer.uint(2, kind.value.version);
      writer.uint(3, kind.value.budgetMs);
      writer.string(4, kind.value.requestId);
      writer.data(5, kind.value.payload);
      writer.string(6, boundedTrace(kind.value.traceParent));
      writer.uint(7, kind.value.withinMs);
      writer.uint(8, kind.value.priority);
      return;
    case 'ack':
      writeLoad(writer, 1, kind.value.load);
      return;
    case 'item':
      writer.uint(1, kind.value.sequence);
      writer.data(2, kind.value.payload);
      return;
    case 'end':
      writer.data(1, kind.value.payload);
      writeLoad(writer, 2, kind.value.load);
      return;
    case 'cancel':
      writer.string(1, kind.value.reason);
      return;
    default:
      return;
  }
}

function writeLoad(writer: FlatWriter, field: number, load: Plain<Load> | undefined): void {
  if (load === undefined) return;
  const start = writer.open(field);
  writer.uint(1, load.requestsInFlight);
  writer.double(2, load.queuedMs);
  writer.double(3, load.latencyMs);
  writer.uint64(4, load.memoryFreeBytes);
  writer.close(start);
}

/**
 * Reads a header. Its bytes fields are views of `bytes`; what a later version adds is passed over.
 * @throws WeftError `frame_invalid`
 */
export function readHeader(bytes: Uint8Array): FrameHeader {
  const reader = new FlatReader(bytes);
  const tensors: TensorInfo[] = [];
  let callId = 0;
  let kind: HeaderKind = { case: undefined };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) callId = reader.uint32();
    else if (field === KINDS.call) kind = { case: 'call', value: readCall(reader.message()) };
    else if (field === KINDS.ack) kind = { case: 'ack', value: readAck(reader.message()) };
    else if (field === KINDS.item) kind = { case: 'item', value: readItem(reader.message()) };
    else if (field === KINDS.end) kind = { case: 'end', value: readEnd(reader.message()) };
    else if (field === KINDS.fault) kind = { case: 'fault', value: readMessage(FaultSchema, reader.data()) };
    else if (field === KINDS.cancel) kind = { case: 'cancel', value: readCancel(reader.message()) };
    else if (field === KINDS.more) {
      const more = reader.message();
      while (more.next() !== 0) more.skip();
      kind = { case: 'more', value: {} };
    } else if (field === TENSORS) {
      if (tensors.length >= TENSORS_MAX) throw invalid(`A header declares more than ${TENSORS_MAX} tensors.`);
      tensors.push(readTensor(reader.message()));
    } else reader.skip();
  }
  return { callId, kind, tensors };
}

type KindValue<Case extends HeaderKind['case']> =
  Extract<HeaderKind, { case: Case }> extends { value: infer Value } ? Value : never;

function readCall(reader: FlatReader): KindValue<'call'> {
  const call = {
    method: 0,
    version: 0,
    budgetMs: 0,
    requestId: '',
    payload: NOTHING,
    traceParent: '',
    withinMs: 0,
    priority: 0,
  };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) call.method = reader.uint32();
    else if (field === 2) call.version = reader.uint32();
    else if (field === 3) call.budgetMs = reader.uint32();
    else if (field === 4) call.requestId = reader.string();
    else if (field === 5) call.payload = reader.data();
    else if (field === 6) call.traceParent = boundedTrace(reader.string());
    else if (field === 7) call.withinMs = reader.uint32();
    else if (field === 8) call.priority = reader.uint32();
    else reader.skip();
  }
  return call;
}

function boundedTrace(traceParent: string): string {
  return traceParent.length <= TRACE_PARENT_LENGTH_MAX ? traceParent : '';
}

function readAck(reader: FlatReader): KindValue<'ack'> {
  let load: Plain<Load> | undefined;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) load = readLoad(reader.message());
    else reader.skip();
  }
  return load === undefined ? {} : { load };
}

function readItem(reader: FlatReader): KindValue<'item'> {
  const item = { sequence: 0, payload: NOTHING };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) item.sequence = reader.uint32();
    else if (field === 2) item.payload = reader.data();
    else reader.skip();
  }
  return item;
}

function readEnd(reader: FlatReader): KindValue<'end'> {
  let payload = NOTHING;
  let load: Plain<Load> | undefined;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) payload = reader.data();
    else if (field === 2) load = readLoad(reader.message());
    else reader.skip();
  }
  return load === undefined ? { payload } : { payload, load };
}

function readCancel(reader: FlatReader): KindValue<'cancel'> {
  let reason = '';
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) reason = reader.string();
    else reader.skip();
  }
  return { reason };
}

function readLoad(reader: FlatReader): Plain<Load> {
  const load = { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0n };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) load.requestsInFlight = reader.uint32();
    else if (field === 2) load.queuedMs = reader.double();
    else if (field === 3) load.latencyMs = reader.double();
    else if (field === 4) load.memoryFreeBytes = reader.uint64();
    else reader.skip();
  }
  return load;
}

function readTensor(reader: FlatReader): TensorInfo {
  let name = '';
  let dataType = 0;
  let byteLength = 0;
  const dims: number[] = [];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) name = reader.string();
    else if (field === 2) dataType = reader.uint32();
    else if (field === 3) reader.uints(dims, DIMS_READ_MAX);
    else if (field === 4) byteLength = reader.uint();
    else reader.skip();
  }
  return { name, dataType, dims, byteLength };
}
