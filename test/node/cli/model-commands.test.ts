// show, ps, stop and rm, on the program's own command line, against a fake daemon.
import { rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
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
    },
    {
      id: 'org/b',
      state: 'quarantined',
      provider: 'cpu',
      residentBytes: 0,
      requestsInFlight: 0,
      reason: 'its runner died at two loads',
    },
  ];

  it('shows what runners hold here and elsewhere, and why a model is quarantined', async () => {
    const { context } = await run(['ps'], {
      'GET /api/v1/ps': { models },
      'GET /api/v1/peers': { peers: [PEER, GONE] },
    });
    expect(context.out()).toBe(
      'NAME      NODE           STATE          SIZE  PROCESSOR  RUNNING   QUEUE  PID  UNTIL\n' +
        'org/a     laptop (here)  loaded       380 MB  cpu              1   20 ms   77  in 4 m 10 s\n' +
        'org/b     laptop (here)  quarantined     0 B  cpu              0   20 ms    -  -\n' +
        'org/chat  server         loaded       109 MB  -                -  340 ms    -  -\n' +
        '\norg/b is quarantined: its runner died at two loads\n',
    );
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
