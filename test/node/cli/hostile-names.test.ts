// What peers, models and the daemon say must not drive the terminal of who reads it: every command that prints such text,
// with all of it hostile. And the twin: without the guard each of them would.
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CommandContext } from '../../../node/cli/context.ts';
import type { WeftError } from '../../../protocol/errors.ts';
import { drivesTerminal, GONE, HARDWARE, HOSTILE, PEER, type Routes, STATUS } from './command-support.ts';
import {
  fakeDaemon,
  homeOf,
  openEvents,
  type RecordedContext,
  recordedContext,
  refuse,
  sendChat,
} from './fake-daemon.ts';

const listing = {
  id: HOSTILE,
  aliases: [HOSTILE],
  task: 'text-generation',
  contextLength: 1,
  dimensions: 0,
  sizeBytes: 1,
  nodes: [{ node: HOSTILE, name: HOSTILE, state: HOSTILE, self: false }],
};
const port = { name: HOSTILE, type: HOSTILE, dims: [HOSTILE] };
const details = {
  ...listing,
  digest: HOSTILE,
  licence: HOSTILE,
  bundled: false,
  offered: true,
  files: [{ path: HOSTILE, sizeBytes: 1, sha256: HOSTILE }],
  inputs: [port],
  outputs: [port],
  decoder: 'plain',
  decoderReason: HOSTILE,
  profile: {
    claim: {
      device: HOSTILE,
      machine: HOSTILE,
      version: HOSTILE,
      measuredAtMs: 0,
      work: [{ tokens: 1, ms: 1 }],
      decode: [],
      batch: [{ size: 1, ms: 1 }],
      loadMs: 1,
    },
    observed: {
      samples: 0,
      answers: 0,
      fixedMs: 0,
      perTokenMs: 0,
      decodeMs: 0,
      loadMs: 0,
      workRatio: 1,
      decodeRatio: 1,
    },
    offered: { fixedMs: 0, perTokenMs: 1, decodeMs: 0, loadMs: 1, samples: 1 },
  },
};
const offer = { ...PEER.offers[0], model: { id: HOSTILE, digest: HOSTILE }, aliases: [HOSTILE], state: 'loaded' };
const peer = {
  ...PEER,
  node: HOSTILE,
  name: HOSTILE,
  state: 'connected',
  hardware: {
    ...HARDWARE,
    arch: HOSTILE,
    platform: HOSTILE,
    devices: [{ kind: 'cuda', name: HOSTILE, memoryBytes: 1 }],
  },
  offers: [offer],
};
const member = { node: HOSTILE, name: HOSTILE, role: HOSTILE };
const request = {
  requestId: HOSTILE,
  traceId: HOSTILE,
  name: HOSTILE,
  caller: HOSTILE,
  model: HOSTILE,
  startedAtMs: 0,
  durationMs: 1,
  status: 'error',
  code: HOSTILE,
  nodes: [HOSTILE],
  failures: 0,
};
const loaded = {
  id: HOSTILE,
  state: 'quarantined',
  provider: HOSTILE,
  residentBytes: 1,
  requestsInFlight: 0,
  reason: HOSTILE,
  fallbackReason: HOSTILE,
  pinned: false,
  generation: {
    decoder: 'plain',
    decoderReason: HOSTILE,
    sequences: 0,
    sequencesMax: 1,
    waiting: 0,
    tokensPerS: 0,
    kvBytes: 0,
    prefixBytes: 0,
    promptTokens: 0,
    cachedTokens: 0,
  },
};

const outcome = { id: HOSTILE, digest: HOSTILE, wasHere: false, sizeBytes: 1, warnings: [HOSTILE] };
const signer = { key: HOSTILE, standing: 'unknown' };
/** What the follower of a pull takes for its own: the name that was asked for. */
const transfer = {
  id: HOSTILE,
  kind: 'pull',
  model: 'owner/hostile',
  phase: 'fetching',
  chosen: [HOSTILE],
  totalBytes: 2,
  doneBytes: 1,
  hereBytes: 0,
  bytesPerSecond: 1,
  etaSeconds: 1,
  sources: [
    { kind: 'peer', name: HOSTILE, bytes: 1, bytesPerSecond: 1, state: 'active' },
    { kind: 'hub', name: HOSTILE, bytes: 0, bytesPerSecond: 0, state: 'blamed', reason: HOSTILE },
  ],
};

const routes: Routes = {
  'GET /api/v1/status': {
    ...STATUS,
    name: HOSTILE,
    version: HOSTILE,
    api: HOSTILE,
    home: HOSTILE,
    addresses: [HOSTILE],
  },
  'GET /api/v1/members': { members: [member] },
  'GET /api/v1/peers': { peers: [peer, { ...GONE, name: HOSTILE }] },
  'GET /api/v1/models': { models: [listing] },
  'GET /api/v1/models/m': details,
  'GET /api/v1/ps': { models: [loaded] },
  'GET /api/v1/requests': { requests: [request] },
  'GET /api/v1/models/mesh': {
    models: [{ id: HOSTILE, digest: HOSTILE, sizeBytes: 1, nodes: [{ ...listing.nodes[0], heldBytes: 1 }] }],
  },
  'GET /api/v1/transfers': { transfers: [transfer] },
  'GET /api/v1/events': (_body: unknown, response: ServerResponse) => void openEvents(response),
  'POST /api/v1/models/pull': {
    ...outcome,
    hereBytes: 0,
    peerBytes: 1,
    hubBytes: 0,
    durationMs: 1,
    chosen: [HOSTILE],
    signers: [signer],
  },
  'POST /api/v1/models/import': { ...outcome, task: HOSTILE, reason: HOSTILE },
  'POST /api/v1/models/verify': {
    models: [
      { ...outcome, damaged: [{ path: HOSTILE, chunks: 1, bytes: 1 }], repaired: true, signers: [signer] },
      { ...outcome, damaged: [], repaired: false, signers: [signer, { ...signer, name: HOSTILE }] },
    ],
  },
  'POST /api/v1/models/gc': {
    freedBytes: 1,
    removed: [{ what: HOSTILE, bytes: 1 }],
    storage: { usedBytes: 1, freeBytes: 1 },
  },
  'GET /api/v1/logs': { lines: [{ atMs: 0, level: 'warn', message: HOSTILE, fields: { [HOSTILE]: HOSTILE } }] },
  'POST /api/v1/models/unload': { id: HOSTILE, wasLoaded: true },
  'POST /api/v1/models/remove': { id: HOSTILE, freedBytes: 1 },
  'POST /api/v1/members/revoke': { revoked: member },
  'POST /api/v1/join': { mesh: HOSTILE, members: [member] },
  'POST /api/v1/infer': {
    model: HOSTILE,
    outputs: [{ name: HOSTILE, dtype: 'uint8', shape: [1], encoding: 'base64', data: 'AQ==' }],
    nodes: [HOSTILE],
  },
  'POST /v1/embeddings': {
    model: HOSTILE,
    data: [{ embedding: [1] }],
    usage: { prompt_tokens: 1 },
    weft: { nodes: [HOSTILE] },
  },
  'POST /v1/chat/completions': (_body: unknown, response: ServerResponse) =>
    sendChat(response, ['\u{1b}]0;owned\u{7}'], ['n1']),
};

const COMMANDS: readonly (readonly string[])[] = [
  ['list'],
  ['list', '--mesh'],
  ['pull', 'owner/hostile'],
  ['import', '/hostile.onnx'],
  ['verify'],
  ['gc'],
  ['show', 'm'],
  ['show', 'm', '--profile'],
  ['ps'],
  ['stop', 'm'],
  ['rm', 'm', '--yes'],
  ['peers'],
  ['members'],
  ['revoke', 'm', '--yes'],
  ['join', 'weft1'],
  ['status'],
  ['top', '--once'],
  ['logs'],
  ['embed', 'm', 'Hi'],
  ['infer', 'm', '--input', 'a=[1]'],
  ['run', 'm', 'Hi'],
];

/** Runs it with the modules as they are now: with the guard, or with what a test put into its place. */
async function printed(args: readonly string[], daemonRoutes: Routes = routes): Promise<RecordedContext> {
  const { runProgram } = await import('../../../node/cli/program.ts');
  await using daemon = await fakeDaemon(daemonRoutes);
  await using home = await homeOf(daemon.url);
  const context = recordedContext();
  // Answers of models are cleaned at a terminal alone: a pipe gets them as they are.
  Object.assign(context.stdout, { isTTY: true });
  Object.assign(context.stderr, { isTTY: false });
  await runProgram([...args, '--home', home.folder], context as CommandContext, '0.0.0');
  return context;
}

afterEach(() => {
  vi.doUnmock('../../../node/cli/printable.ts');
  vi.resetModules();
});

const withoutGuard = () => {
  vi.resetModules();
  vi.doMock('../../../node/cli/printable.ts', () => ({
    printable: (text: string) => text,
    printableLines: (text: string) => text,
  }));
};

describe('hostile names', () => {
  it.each(COMMANDS)('do nothing to the terminal of who runs weft %s', async (...args) => {
    const context = await printed(args);
    expect(drivesTerminal(context.out() + context.err())).toBe(false);
    expect(context.out() + context.err()).toContain('�');
  });

  it.each(COMMANDS)('would drive it in weft %s without the guard', async (...args) => {
    withoutGuard();
    const context = await printed(args);
    expect(drivesTerminal(context.out() + context.err())).toBe(true);
  });

  const refusing = (_body: unknown, response: ServerResponse) => refuse(response, 400, 'bad_request', HOSTILE);

  it('do nothing in a message of failure, and would without the guard', async () => {
    for (const guarded of [true, false]) {
      if (!guarded) withoutGuard();
      const { describeError } = await import('../../../node/cli/errors.ts');
      const failure = (await printed(['list'], { 'GET /api/v1/models': refusing }).catch(
        (error: unknown) => error,
      )) as WeftError;
      expect(failure.message).toBe(HOSTILE);
      expect(drivesTerminal(describeError(failure))).toBe(!guarded);
    }
  });
});
