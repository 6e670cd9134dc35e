// The table of everything that one process may ask another: peers first, then runners. A method's number, name and
// version never change their meaning; a new version is a new row.
import {
  type Codec,
  cutTableRequestCodec,
  emptyCodec,
  encodeRequestCodec,
  encodeResponseCodec,
  generateItemCodec,
  generateRequestCodec,
  generateResponseCodec,
  manageRequestCodec,
  manageResponseCodec,
  measureCutsRequestCodec,
  messageCodec,
  readFileResponseCodec,
  runRequestCodec,
  runResponseCodec,
  sampleResponseCodec,
  syncRequestCodec,
  syncResponseCodec,
  watchItemCodec,
  watchRequestCodec,
} from './codec.ts';
import { MESSAGE_BYTES_MAX } from './limits.ts';
import * as pb from './messages/weft_pb.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

/** How much of a method one peer may use at a time. */
export interface Quota {
  /** Calls in flight from one peer; one more is answered `quota_exceeded`. */
  readonly callsPerPeer: number;
  /** Tensor bytes of one request. */
  readonly requestBytesMax: number;
  /** Tensor bytes of one answer or item. */
  readonly answerBytesMax: number;
}

/** How long each phase of a call may take before it is given up. The caller may ask for less, never for more. */
export interface Timeouts {
  /** Request sent → acknowledged. Added to a few round trips by the caller. */
  readonly ackMs: number;
  /** Acknowledged → answered in full, where the caller names no deadline. */
  readonly totalMs: number;
}

/** One row of the table. */
export interface MethodSpec<Request, Item, Response> {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  readonly request: Codec<Request>;
  readonly item: Codec<Item>;
  readonly response: Codec<Response>;
  readonly quota: Quota;
  readonly timeouts: Timeouts;
  /** Who may call: members of the mesh, strangers with a ticket (`joiner`), or only this node's own daemon. */
  readonly access: 'member' | 'joiner' | 'daemon';
  /** Streams kept open per peer. A call beyond them opens one more, up to `callsPerPeer`. */
  readonly pooledStreams: number;
}

/** Any row, where the types of its messages don't matter. */
// biome-ignore lint/suspicious/noExplicitAny: messages go in and out of a codec, so no narrower type fits every row
export type AnyMethod = MethodSpec<any, any, any>;

/** Checks a row against its own codecs. */
function row<Request, Item, Response>(spec: MethodSpec<Request, Item, Response>): MethodSpec<Request, Item, Response> {
  return spec;
}

/** libp2p's protocol id of a peer method. */
export function protocolId(method: { readonly name: string; readonly version: number }): string {
  return `/weft/${method.name}/${method.version}`;
}

// A noisy machine may stop a process for seconds; these catch what a heartbeat doesn't, they are not the first line.
const CONTROL: Timeouts = { ackMs: 5_000, totalMs: 10_000 };
const WORK: Timeouts = { ackMs: 2_000, totalMs: 600_000 };
const LOAD: Timeouts = { ackMs: 5_000, totalMs: 120_000 };
const SMALL: Quota = { callsPerPeer: 4, requestBytesMax: 0, answerBytesMax: 0 };

/** What peers may ask each other. */
export const PEER_METHODS = {
  /** "I know this much; what do you know?": adverts and the member list. */
  sync: row({
    id: 1,
    name: 'sync',
    version: 1,
    access: 'member',
    pooledStreams: 1,
    request: syncRequestCodec,
    item: emptyCodec,
    response: syncResponseCodec,
    quota: SMALL,
    timeouts: CONTROL,
  }),
  /** Heartbeat: round-trip time, load, and whether the other side knows something new. */
  probe: row({
    id: 2,
    name: 'probe',
    version: 1,
    access: 'member',
    pooledStreams: 1,
    request: messageCodec(pb.ProbeRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.ProbeResponseSchema),
    quota: SMALL,
    timeouts: CONTROL,
  }),
  /** Some bytes, asked for once when a connection is new: how fast they come is the link's first goodput. */
  sample: row({
    id: 3,
    name: 'sample',
    version: 1,
    access: 'member',
    pooledStreams: 0,
    request: messageCodec(pb.SampleRequestSchema),
    item: emptyCodec,
    response: sampleResponseCodec,
    quota: { callsPerPeer: 1, requestBytesMax: 0, answerBytesMax: MIB },
    timeouts: CONTROL,
  }),
  run: row({
    id: 10,
    name: 'run',
    version: 1,
    access: 'member',
    pooledStreams: 4,
    request: runRequestCodec,
    item: emptyCodec,
    response: runResponseCodec,
    quota: { callsPerPeer: 32, requestBytesMax: MESSAGE_BYTES_MAX, answerBytesMax: MESSAGE_BYTES_MAX },
    timeouts: WORK,
  }),
  encode: row({
    id: 11,
    name: 'encode',
    version: 1,
    access: 'member',
    pooledStreams: 8,
    request: encodeRequestCodec,
    item: emptyCodec,
    response: encodeResponseCodec,
    quota: { callsPerPeer: 64, requestBytesMax: 16 * MIB, answerBytesMax: 64 * MIB },
    timeouts: WORK,
  }),
  generate: row({
    id: 12,
    name: 'generate',
    version: 1,
    access: 'member',
    pooledStreams: 4,
    request: generateRequestCodec,
    item: generateItemCodec,
    response: generateResponseCodec,
    quota: { callsPerPeer: 32, requestBytesMax: 4 * MIB, answerBytesMax: 64 * KIB },
    timeouts: WORK,
  }),
  /** Where the graph of a model that the peer runs can be cut, and what its parts take there; measured where need be. */
  cutTable: row({
    id: 13,
    name: 'cut-table',
    version: 1,
    access: 'member',
    pooledStreams: 0,
    request: cutTableRequestCodec,
    item: emptyCodec,
    response: messageCodec(pb.CutTableResponseSchema),
    quota: { callsPerPeer: 2, requestBytesMax: 0, answerBytesMax: 0 },
    timeouts: WORK,
  }),
  /** The manifest of a model that the peer offers. */
  manifest: row({
    id: 20,
    name: 'manifest',
    version: 1,
    access: 'member',
    pooledStreams: 1,
    request: messageCodec(pb.ManifestRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.ManifestResponseSchema),
    quota: SMALL,
    timeouts: CONTROL,
  }),
  /** A piece of a file that a manifest of the peer's lists. */
  readFile: row({
    id: 21,
    name: 'read-file',
    version: 1,
    access: 'member',
    // Chunks of 4 MiB: as many under way as fill a link of 1 Gbit/s at a round trip of 80 ms.
    pooledStreams: 6,
    request: messageCodec(pb.ReadFileRequestSchema),
    item: emptyCodec,
    response: readFileResponseCodec,
    quota: { callsPerPeer: 12, requestBytesMax: 0, answerBytesMax: 4 * MIB },
    timeouts: { ackMs: 5_000, totalMs: 60_000 },
  }),
  /** Which chunks of some files the peer can read out. */
  holding: row({
    id: 22,
    name: 'holding',
    version: 1,
    access: 'member',
    pooledStreams: 1,
    request: messageCodec(pb.HoldingRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.HoldingResponseSchema),
    quota: SMALL,
    timeouts: CONTROL,
  }),
  joinHello: row({
    id: 30,
    name: 'join-hello',
    version: 1,
    access: 'joiner',
    pooledStreams: 0,
    request: messageCodec(pb.JoinHelloRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.JoinHelloResponseSchema),
    quota: { ...SMALL, callsPerPeer: 1 },
    timeouts: CONTROL,
  }),
  joinProve: row({
    id: 31,
    name: 'join-prove',
    version: 1,
    access: 'joiner',
    pooledStreams: 0,
    request: messageCodec(pb.JoinProveRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.JoinProveResponseSchema),
    quota: { ...SMALL, callsPerPeer: 1 },
    timeouts: CONTROL,
  }),
  /** Does what the peer's own control API would, for an admin of the mesh. */
  manage: row({
    id: 40,
    name: 'manage',
    version: 1,
    access: 'member',
    // A page about a node reads a handful of things at once.
    pooledStreams: 4,
    request: manageRequestCodec,
    item: emptyCodec,
    response: manageResponseCodec,
    quota: { ...SMALL, callsPerPeer: 16 },
    // What each operation may take is shorter: protocol/api/control/manage.ts.
    timeouts: { ackMs: 5_000, totalMs: 600_000 },
  }),
  /** Tells an admin of the mesh what happens on the peer, while it happens, until the call is cancelled. */
  watch: row({
    id: 41,
    name: 'watch',
    version: 1,
    access: 'member',
    pooledStreams: 0,
    request: watchRequestCodec,
    item: watchItemCodec,
    response: messageCodec(pb.WatchResponseSchema),
    quota: { ...SMALL, callsPerPeer: 8 },
    timeouts: { ackMs: 5_000, totalMs: 3_600_000 },
  }),
} as const;

const RUNNER_QUOTA: Quota = {
  callsPerPeer: 256,
  requestBytesMax: MESSAGE_BYTES_MAX,
  answerBytesMax: MESSAGE_BYTES_MAX,
};

/** What a daemon may ask its runners. Work has the peers' codecs and numbers: one codec on both ways. */
export const RUNNER_METHODS = {
  load: row({
    id: 100,
    name: 'load',
    version: 1,
    access: 'daemon',
    pooledStreams: 0,
    request: messageCodec(pb.LoadModelRequestSchema),
    item: messageCodec(pb.LoadProgressSchema),
    response: messageCodec(pb.LoadModelResponseSchema),
    quota: RUNNER_QUOTA,
    timeouts: LOAD,
  }),
  unload: row({
    id: 101,
    name: 'unload',
    version: 1,
    access: 'daemon',
    pooledStreams: 0,
    request: messageCodec(pb.UnloadModelRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.UnloadModelResponseSchema),
    quota: RUNNER_QUOTA,
    timeouts: LOAD,
  }),
  stats: row({
    id: 102,
    name: 'stats',
    version: 1,
    access: 'daemon',
    pooledStreams: 0,
    request: messageCodec(pb.StatsRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.StatsResponseSchema),
    quota: RUNNER_QUOTA,
    timeouts: CONTROL,
  }),
  weigh: row({
    id: 103,
    name: 'weigh',
    version: 1,
    access: 'daemon',
    pooledStreams: 0,
    request: messageCodec(pb.WeighPartRequestSchema),
    item: emptyCodec,
    response: messageCodec(pb.WeighPartResponseSchema),
    quota: RUNNER_QUOTA,
    timeouts: LOAD,
  }),
  /** In a process of its own: it takes seconds, and may take the process down. */
  cuts: row({
    id: 104,
    name: 'cuts',
    version: 1,
    access: 'daemon',
    pooledStreams: 0,
    request: measureCutsRequestCodec,
    item: emptyCodec,
    response: messageCodec(pb.MeasureCutsResponseSchema),
    quota: RUNNER_QUOTA,
    timeouts: WORK,
  }),
  run: { ...PEER_METHODS.run, access: 'daemon', quota: RUNNER_QUOTA },
  encode: { ...PEER_METHODS.encode, access: 'daemon', quota: RUNNER_QUOTA },
  generate: { ...PEER_METHODS.generate, access: 'daemon', quota: RUNNER_QUOTA },
} as const;
