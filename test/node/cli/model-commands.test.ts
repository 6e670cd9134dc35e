// show, ps, load, stop and rm, on the program's own command line, against a fake daemon.
import { rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import { textWidth } from '../../../node/cli/text-width.ts';
import { writeDaemonRecord } from '../../../node/config/daemon-record.ts';
import { openHome } from '../../../node/config/home.ts';
import { GONE, PEER, runCommand as run } from './command-support.ts';
import { fakeDaemon, homeOf, recordedContext, refuse, sendJson } from './fake-daemon.ts';

const DETAILS = {
  id: 'org/minilm',
  digest: `sha256:${'ab'.repeat(32)}`,
  aliases: ['minilm'],
  task: 'feature-extraction',
  licence: 'apache-2.0',
  contextLength: 512,
  dimensions: 384,
  sizeBytes: 23_400_000,
  bundled: true,
  offered: true,
  files: [{ path: 'onnx/model.onnx', sizeBytes: 23_000_000, sha256: 'cd'.repeat(32) }],
  inputs: [{ name: 'input_ids', type: 'int64', dims: ['batch', -1] }],
  outputs: [{ name: 'last_hidden_state', type: 'float32', dims: ['batch', -1, 384] }],
};
const LISTING = {
  id: 'org/minilm',
  aliases: ['minilm'],
  task: 'feature-extraction',
  contextLength: 512,
  dimensions: 384,
  sizeBytes: 23_400_000,
  nodes: [
    { node: 'n1', name: 'laptop', state: 'loaded', self: true },
    { node: 'n2', name: 'server', state: 'disk', self: false },
  ],
};
const missing = (_body: unknown, response: ServerResponse) =>
  refuse(response, 404, 'model_not_found', 'No such model is installed here.');

describe('weft show', () => {
  it('shows facts, files, inputs, outputs and nodes of an installed model', async () => {
    const { context } = await run(['show', 'minilm'], {
      'GET /api/v1/models/minilm': DETAILS,
      'GET /api/v1/models': { models: [LISTING] },
    });
    expect(context.out()).toBe(
      `${[
        'Name       minilm',
        'Id         org/minilm',
        'Task       embeddings',
        'Context    512 tokens',
        'Vectors    384 values',
        'Size       23.4 MB',
        'Installed  here, came with Weft',
        'Runs on    laptop (here, loaded), server',
        'Licence    apache-2.0',
        `Digest     sha256:${'ab'.repeat(32)}`,
        '',
        'FILE                SIZE  SHA256',
        `onnx/model.onnx  23.0 MB  ${'cd'.repeat(32)}`,
        '',
        'INPUT      TYPE   SHAPE',
        'input_ids  int64  [batch, ?]',
        '',
        'OUTPUT             TYPE     SHAPE',
        'last_hidden_state  float32  [batch, ?, 384]',
      ].join('\n')}\n`,
    );
  });

  it('finds a hub id, whatever stands in it', async () => {
    const { requests } = await run(['show', 'org/minilm?x'], {
      'GET /api/v1/models/org%2Fminilm%3Fx': DETAILS,
      'GET /api/v1/models': { models: [LISTING] },
    });
    expect(requests).toContain('GET /api/v1/models/org%2Fminilm%3Fx');
  });

  it('folds what each layer has into one line', async () => {
    const port = (name: string, dims: readonly unknown[] = ['n', 64]) => ({ name, type: 'float32', dims });
    const inputs = [
      port('x'),
      ...[0, 1, 2].flatMap((layer) => [port(`past.${layer}.key`), port(`past.${layer}.value`, ['n', 32])]),
      port('a.1'),
      port('a.3'),
      port('a.4'),
      port('b.0'),
      port('b.1'),
    ];
    const { context } = await run(['show', 'minilm'], {
      'GET /api/v1/models/minilm': { ...DETAILS, inputs },
      'GET /api/v1/models': { models: [LISTING] },
    });
    const shown = context.out().split('INPUT')[1]?.split('OUTPUT')[0] ?? '';
    const names = shown
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(' ')[0]);
    expect(names).toEqual(['x', 'past.{0…2}.key', 'past.{0…2}.value', 'a.1', 'a.3', 'a.4', 'b.0', 'b.1']);
  });

  it('shows of a model elsewhere what its nodes tell', async () => {
    const routes = { 'GET /api/v1/models/MiniLM': missing, 'GET /api/v1/models': { models: [LISTING] } };
    const { context } = await run(['show', 'MiniLM'], routes);
    expect(context.out()).toMatch(/^Installed +not here$/m);
    expect(context.out()).not.toContain('SHA256');
    const { context: json } = await run(['show', 'MiniLM', '--json'], routes);
    expect(JSON.parse(json.out())).toEqual({ ...LISTING, installed: false });
  });

  it('has one object of both for programs', async () => {
    const { context } = await run(['show', 'minilm', '--json'], {
      'GET /api/v1/models/minilm': DETAILS,
      'GET /api/v1/models': { models: [] },
    });
    expect(JSON.parse(context.out())).toEqual({ ...DETAILS, installed: true, nodes: [] });
  });

  it('says so when nobody has it', async () => {
    const failed = run(['show', 'nope'], { 'GET /api/v1/models/nope': missing, 'GET /api/v1/models': { models: [] } });
    await expect(failed).rejects.toMatchObject({ code: 'model_not_found', message: 'This mesh has no model "nope".' });
  });
});

const CLAIM = {
  device: 'cpu',
  machine: 'EPYC, 2 threads',
  version: '0.1.0',
  measuredAtMs: Date.UTC(2026, 0, 2, 9, 15),
  work: [
    { tokens: 32, ms: 100 },
    { tokens: 256, ms: 640 },
  ],
  decode: [
    { context: 40, ms: 10.2 },
    { context: 264, ms: 12.5 },
  ],
  batch: [
    { size: 1, ms: 10 },
    { size: 8, ms: 32 },
  ],
  loadMs: 480,
};
const PROFILE = {
  claim: CLAIM,
  observed: {
    samples: 57,
    answers: 40,
    fixedMs: 20,
    perTokenMs: 3,
    decodeMs: 20,
    loadMs: 512,
    workRatio: 1.115,
    decodeRatio: 1,
  },
  offered: { fixedMs: 22, perTokenMs: 2.6, decodeMs: 12.5, loadMs: 512, samples: 61, batch: CLAIM.batch },
};

describe('weft show --profile', () => {
  const CHAT = { ...DETAILS, id: 'org/chat', aliases: ['chat'], task: 'text-generation', dimensions: 0 };
  const routes = (details: object) => ({
    'GET /api/v1/models/chat': details,
    'GET /api/v1/models': { models: [] },
  });
  const shown = async (details: object): Promise<string> => {
    const { context } = await run(['show', 'chat', '--profile'], routes(details));
    return context.out().slice(context.out().indexOf('\n\n') + 2);
  };

  it('prints claim beside observation, and the batch curve', async () => {
    expect(await shown({ ...CHAT, profile: PROFILE })).toBe(
      `${[
        'Device      cpu, EPYC, 2 threads',
        'Measured    2026-01-02 09:15 UTC, by weft 0.1.0',
        'Requests    57 pieces of work, 40 answers',
        'Correction  prefill × 1.11, decode × 1.00',
        '',
        'SPEED                         CLAIM   OBSERVED    OFFERED',
        'prefill of 32 tokens      320 tok/s  276 tok/s  304 tok/s',
        'prefill of 256 tokens     400 tok/s  325 tok/s  372 tok/s',
        'decode behind 40 tokens    98 tok/s          -          -',
        'decode behind 264 tokens   80 tok/s          -          -',
        'decode in general                 -   50 tok/s   80 tok/s',
        'load                         480 ms     512 ms     512 ms',
        '',
        'AT ONCE   STEP  TOK/S  GAIN',
        '      1  10 ms    100  1.0×',
        '      8  32 ms    250  2.5×',
      ].join('\n')}\n`,
    );
  });

  it('says what is not measured yet, and what requests showed all the same', async () => {
    const { claim: _claim, ...rest } = PROFILE;
    const text = await shown({ ...CHAT, profile: rest });
    expect(text).toMatch(/^Measured +not yet: it is once the model is loaded and idle$/m);
    expect(text).toMatch(/^decode in general +- +50 tok\/s +80 tok\/s$/m);
    expect(text).toMatch(/^prefill of 256 tokens +- +325 tok\/s +372 tok\/s$/m);
    expect(text).not.toContain('AT ONCE');
  });

  it('has the words of other graphs', async () => {
    const encoder = await shown({ ...DETAILS, profile: { ...PROFILE, claim: { ...CLAIM, decode: [] } } });
    expect(encoder).toMatch(/^Requests +57 pieces of work$/m);
    expect(encoder).toMatch(/^Correction +work × 1.11$/m);
    expect(encoder).toMatch(/^a text of 256 tokens +640 ms +788 ms +688 ms$/m);
    expect(encoder).toMatch(/^AT ONCE +RUN +TEXTS\/S +GAIN$/m);
    const claim = { ...CLAIM, work: [{ tokens: 1, ms: 5 }] };
    const graph = await shown({ ...DETAILS, task: 'tensor', profile: { ...PROFILE, claim } });
    expect(graph).toMatch(/^one run +5.00 ms/m);
    expect(graph).toMatch(/^AT ONCE +RUN +ROWS\/S +GAIN$/m);
  });

  it('is all in the one object for programs', async () => {
    const details = { ...CHAT, profile: PROFILE };
    const { context } = await run(['show', 'chat', '--profile', '--json'], routes(details));
    expect(JSON.parse(context.out())).toMatchObject({ profile: PROFILE });
  });

  it('says where there is none', async () => {
    await expect(run(['show', 'chat', '--profile'], routes(CHAT))).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'This node does not offer org/chat, so it has no profile of it.',
    });
  });

  it('says how a graph is decoded, and why it was not rewritten', async () => {
    const facts = async (over: object): Promise<string> =>
      (await run(['show', 'chat'], routes({ ...CHAT, ...over }))).context.out();
    expect(await facts({ decoder: 'rewritten' })).toMatch(/^Decoder +rewritten: conversations share steps/m);
    const plain = { decoder: 'plain', decoderReason: 'The operator Loop is not known.' };
    expect(await facts(plain)).toMatch(/^Decoder +as it was exported: The operator Loop is not known\.$/m);
    expect(await facts({})).not.toContain('Decoder');
  });
});

describe('weft ps', () => {
  const models = [
    {
      id: 'org/a',
      state: 'loaded',
      provider: 'cpu',
      runnerPid: 77,
      residentBytes: 380_000_000,
      requestsInFlight: 1,
      idleUntilMs: 250_000,
      pinned: false,
    },
    {
      id: 'org/b',
      state: 'quarantined',
      provider: 'cpu',
      residentBytes: 0,
      requestsInFlight: 0,
      reason: 'its runner died at two loads',
      pinned: false,
    },
  ];
  const generation = {
    decoder: 'rewritten',
    sequences: 3,
    sequencesMax: 16,
    waiting: 2,
    tokensPerS: 198.4,
    kvBytes: 20_000_000,
    prefixBytes: 3_600_000,
    kvBytesMax: 500_000_000,
    kvBytesPerToken: 46_080,
    promptTokens: 2_000,
    cachedTokens: 1_250,
    draftedTokens: 0,
    acceptedTokens: 0,
  };
  const chat = {
    id: 'organisation/chat-135M-Instruct',
    state: 'loaded',
    provider: 'webgpu',
    runnerPid: 78,
    residentBytes: 476_000_000,
    requestsInFlight: 5,
    pinned: true,
    generation,
  };
  const ps = async (shown: readonly object[], peers: readonly object[], columns?: number): Promise<string> => {
    const context = recordedContext();
    if (columns !== undefined) Object.assign(context.stdout, { columns });
    await run(['ps'], { 'GET /api/v1/ps': { models: shown }, 'GET /api/v1/peers': { peers } }, context);
    return context.out();
  };

  it('shows what runners hold here and elsewhere, and why a model is quarantined', async () => {
    expect(await ps([chat, ...models], [PEER, GONE])).toBe(
      'MODEL                            NODE           DEVICE  MEMORY                SLOTS  TOK/S  CACHE  UNTIL\n' +
        'organisation/chat-135M-Instruct  laptop (here)  webgpu  476 MB, KV 23.6 MB  3/16 +2    198   63 %  pinned\n' +
        'org/a                            laptop (here)  cpu     380 MB                    1      -      -  in 4 m 10 s\n' +
        'org/b                            laptop (here)  cpu     0 B                       0      -      -  quarantined\n' +
        'org/chat                         server         -       -                         -      -      -  -\n' +
        '\norg/b is quarantined: its runner died at two loads\n',
    );
  });

  it('names no node where all is here, and says until when', async () => {
    const idle = { ...models[0], id: 'org/kept', requestsInFlight: 0, idleUntilMs: undefined };
    const busy = { ...models[0], id: 'org/busy', idleUntilMs: undefined };
    const loading = { ...models[0], id: 'org/new', state: 'loading', provider: '', residentBytes: 9_000_000 };
    expect(await ps([idle, busy, loading], [])).toBe(
      'MODEL     DEVICE  MEMORY  SLOTS  TOK/S  CACHE  UNTIL\n' +
        'org/kept  cpu     380 MB      0      -      -  for ever\n' +
        'org/busy  cpu     380 MB      1      -      -  in use\n' +
        'org/new   -       9.0 MB      1      -      -  loading\n',
    );
  });

  it('says why a model is not on the device that was asked for, and why it is decoded as it was exported', async () => {
    const plain = { ...generation, decoder: 'plain', decoderReason: 'The operator Loop is not known.' };
    const out = await ps([{ ...chat, provider: 'cpu', fallbackReason: 'WebGPU failed.', generation: plain }], []);
    expect(out.split('\n\n')[1]).toBe(
      'organisation/chat-135M-Instruct runs on cpu: WebGPU failed.\n' +
        'organisation/chat-135M-Instruct is decoded as it was exported: The operator Loop is not known.\n',
    );
  });

  it.each([
    [100, 'MODEL               NODE    DEVICE  MEMORY                SLOTS  TOK/S  CACHE  UNTIL'],
    [88, 'MODEL               NODE    DEVICE  MEMORY                SLOTS  TOK/S  UNTIL'],
    [80, 'MODEL               NODE    DEVICE  MEMORY    SLOTS  TOK/S  UNTIL'],
    [60, 'MODEL               NODE    MEMORY    SLOTS  UNTIL'],
    [50, 'MODEL               MEMORY    SLOTS  UNTIL'],
    [40, 'MODEL               MEMORY    SLOTS  UN…'],
  ])('keeps what matters most in a window of %i columns', async (columns, titles) => {
    const out = await ps([chat, ...models], [PEER], columns);
    const [table = '', notes = ''] = out.split('\n\n');
    expect(table.split('\n')[0]?.trimEnd()).toBe(titles);
    for (const line of table.split('\n')) expect(textWidth(line)).toBeLessThanOrEqual(columns);
    // Reasons are never cut: a terminal breaks their lines.
    expect(notes).toContain('its runner died at two loads');
  });

  it('keeps both apart for programs', async () => {
    const { context } = await run(['ps', '--json'], {
      'GET /api/v1/ps': { models },
      'GET /api/v1/peers': { peers: [PEER] },
    });
    expect(JSON.parse(context.out())).toEqual({
      models,
      elsewhere: [
        {
          node: 'n2',
          name: 'server',
          id: 'org/chat',
          state: 'loaded',
          sizeBytes: 108_600_000,
          requestsInFlight: 2,
          queuedMs: 340,
        },
      ],
    });
  });

  it('says what loads a model when none is', async () => {
    const { context } = await run(['ps'], { 'GET /api/v1/ps': { models: [] }, 'GET /api/v1/peers': { peers: [GONE] } });
    expect(context.out()).toBe('');
    expect(context.err()).toContain('weft run');
  });
});

describe('weft load', () => {
  const answer = { id: 'org/a', wasLoaded: false, pinned: false, provider: 'cpu', residentBytes: 3_000_000 };
  const routes = (body: object, asked: unknown[] = []) => ({
    'GET /api/v1/models/a': { id: 'org/a', digest: 'sha256:0a' },
    'POST /api/v1/models/load': (request: unknown, response: ServerResponse) => {
      asked.push(request);
      sendJson(response, { ...answer, ...body });
    },
  });

  it('says what it takes once it is there, and whether it was', async () => {
    expect((await run(['load', 'a'], routes({}))).context.out()).toBe('org/a is loaded: 3.0 MB.\n');
    expect((await run(['load', 'a'], routes({ wasLoaded: true }))).context.out()).toContain('was loaded already');
    const asked: unknown[] = [];
    const pinned = await run(['load', 'a', '--pin'], routes({ pinned: true }, asked));
    expect(pinned.context.out()).toContain(', pinned.');
    expect(asked).toEqual([{ model: 'sha256:0a', pin: true }]);
    expect(JSON.parse((await run(['load', 'a', '--json'], routes({}))).context.out())).toEqual(answer);
  });
});

describe('weft stop MODEL', () => {
  it.each([
    [true, 'org/a is unloaded.\n'],
    [false, 'org/a was not loaded here.\n'],
  ])('unloads it (loaded: %s)', async (wasLoaded, text) => {
    const routes = { 'POST /api/v1/models/unload': { id: 'org/a', wasLoaded } };
    expect((await run(['stop', 'a'], routes)).context.out()).toBe(text);
    expect(JSON.parse((await run(['stop', 'a', '--json'], routes)).context.out())).toEqual({ id: 'org/a', wasLoaded });
  });
});

describe('weft stop', () => {
  /** A data folder that this process holds as a daemon would. */
  async function held(onStop: (home: Awaited<ReturnType<typeof openHome>>) => Promise<void>) {
    let home: Awaited<ReturnType<typeof openHome>> | undefined;
    const daemon = await fakeDaemon({
      'POST /api/v1/stop': async (body, response) => {
        expect(body).toEqual({});
        sendJson(response, { stopping: true });
        if (home !== undefined) await onStop(home);
      },
    });
    const place = await homeOf(daemon.url);
    await place.release();
    home = await openHome({ folder: place.folder });
    await writeDaemonRecord(place.folder, {
      pid: process.pid,
      api: daemon.url,
      node: 'n1',
      version: '0.0.0',
      startedAt: '2026-01-01T00:00:00.000Z',
    });
    return {
      folder: place.folder,
      url: daemon.url,
      async [Symbol.asyncDispose]() {
        await home?.close();
        await place[Symbol.asyncDispose]();
        await daemon[Symbol.asyncDispose]();
      },
    };
  }

  it('waits until the folder is free', async () => {
    let isFree = false;
    await using daemon = await held(async (home) => {
      // As a daemon ends: first the record, then the work, then the lock.
      await rm(join(home.folder, 'daemon.json'));
      isFree = true;
      await home.close();
    });
    const context = recordedContext();
    await runProgram(['stop', '--home', daemon.folder], context, '0.0.0');
    expect(isFree).toBe(true);
    expect(context.out()).toBe('Stopped.\n');
  });

  it('is content with a later run that holds the folder', async () => {
    await using daemon = await held(async (home) => {
      await writeDaemonRecord(home.folder, {
        pid: process.pid,
        api: daemon.url,
        node: 'n1',
        version: '0.0.0',
        startedAt: '2026-01-01T00:00:09.000Z',
      });
    });
    const context = recordedContext();
    await runProgram(['stop', '--json', '--home', daemon.folder], context, '0.0.0');
    expect(JSON.parse(context.out())).toEqual({ wasRunning: true });
  });

  it('says that none runs, and succeeds', async () => {
    await using daemon = await fakeDaemon({});
    await using home = await homeOf(daemon.url);
    await home.release();
    const context = recordedContext();
    await runProgram(['stop', '--home', home.folder], context, '0.0.0');
    expect(context.err()).toBe(`No daemon runs with the data folder ${home.folder}.\n`);
    const json = recordedContext();
    await runProgram(['stop', '--json', '--home', home.folder], json, '0.0.0');
    expect(JSON.parse(json.out())).toEqual({ wasRunning: false });
    expect(daemon.requests).toEqual([]);
  });

  it('ends at Ctrl-C while it waits', async () => {
    const context = recordedContext();
    await using daemon = await held(async () => context.abort());
    await expect(runProgram(['stop', '--home', daemon.folder], context, '0.0.0')).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

describe('weft rm', () => {
  const routes = {
    'GET /api/v1/models/minilm': DETAILS,
    'POST /api/v1/models/remove': { id: 'org/minilm', freedBytes: 23_400_000 },
  };

  it('deletes with --yes', async () => {
    const { context } = await run(['rm', 'minilm', '--yes'], routes);
    expect(context.out()).toBe('Deleted org/minilm: 23.4 MB freed.\n');
  });

  it('refuses without a terminal to ask at, and deletes nothing', async () => {
    await using daemon = await fakeDaemon(routes);
    await using home = await homeOf(daemon.url);
    const failed = runProgram(['rm', 'minilm', '--home', home.folder], recordedContext(), '0.0.0');
    await expect(failed).rejects.toMatchObject({ code: 'bad_request', remedy: 'Add --yes.' });
    expect(daemon.requests).toEqual(['GET /api/v1/models/minilm']);
  });

  it.each([
    ['y\n', true],
    ['YES\n', true],
    ['\n', false],
    ['n\n', false],
    ['yesterday\n', false],
    ['\u{3}', false],
    ['\u{4}', false],
  ])('asks at a terminal (%j)', async (answer, deletes) => {
    const context = recordedContext({ tty: true });
    const done = run(['rm', 'minilm'], routes, context);
    context.stdin.write(answer);
    const { requests } = await done;
    expect(context.err()).toContain('Delete org/minilm (23.4 MB)? [y/N]');
    expect(requests.includes('POST /api/v1/models/remove')).toBe(deletes);
    if (!deletes) expect(context.err()).toContain('Nothing was deleted.');
  });

  it('passes on why a bundled model stays', async () => {
    const failed = run(['rm', 'minilm', '--yes'], {
      ...routes,
      'POST /api/v1/models/remove': (_body: unknown, response: ServerResponse) =>
        refuse(response, 403, 'forbidden', 'It came with Weft.'),
    });
    await expect(failed).rejects.toMatchObject({ code: 'forbidden' });
  });
});
