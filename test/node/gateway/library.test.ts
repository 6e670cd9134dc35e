// The control API's part about the models of this node's disk.
import { describe, expect, expectTypeOf, it } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import type {
  ImportOutcome,
  Library,
  MeshModel,
  PullOutcome,
  TransferStatus,
  VerifyReport,
} from '../../../node/core/library.ts';
import {
  CatalogueAnswer,
  CleanUpAnswer,
  ImportAnswer,
  MeshModelsAnswer,
  PullAnswer,
  type TransferState,
  TransfersAnswer,
  VerifyAnswer,
} from '../../../protocol/api/control.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { type ErrorCode, WeftError } from '../../../protocol/errors.ts';
import { ended, fakeLibrary, KEY, OTHER, type RunningGateway, SELF, type StartInit, startGateway } from './support.ts';

/** What is left of a value after JSON: arrays lose `readonly`, undefined fields go. */
type Json<T> = T extends readonly (infer Element)[]
  ? Json<Element>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Json<T[Key]> }
    : T;

const PULLED: PullOutcome = {
  id: 'owner/graph',
  digest: `sha256:${'0'.repeat(64)}`,
  wasHere: false,
  sizeBytes: 30,
  hereBytes: 5,
  peerBytes: 20,
  hubBytes: 5,
  durationMs: 1_200,
  chosen: ['onnx/model_q4.onnx: the smallest.'],
  signers: [{ key: OTHER, name: 'attic', standing: 'member' }],
  warnings: [],
};

const TRANSFER: TransferStatus = {
  id: 'tr_1',
  kind: 'pull',
  model: 'owner/graph',
  phase: 'fetching',
  chosen: PULLED.chosen,
  totalBytes: 30,
  doneBytes: 10,
  hereBytes: 5,
  bytesPerSecond: 4,
  etaSeconds: undefined,
  sources: [{ kind: 'peer', name: OTHER, bytes: 5, bytesPerSecond: 4, state: 'blamed', reason: 'It lied.' }],
  error: { code: 'disk_full', message: 'No room.', remedy: 'Make some.' },
};

const start = (library: Partial<Library>, init: StartInit = {}): Promise<RunningGateway> =>
  startGateway({ ...init, control: { library: fakeLibrary(library) } });

describe('the library over HTTP', () => {
  it('has the shapes of the port', () => {
    expectTypeOf<Json<PullOutcome>>().toExtend<PullAnswer>();
    expectTypeOf<Json<ImportOutcome>>().toExtend<ImportAnswer>();
    expectTypeOf<Json<VerifyReport>>().toExtend<VerifyAnswer['models'][number]>();
    expectTypeOf<Json<TransferStatus>>().toExtend<TransferState>();
    expectTypeOf<Json<MeshModel>>().toExtend<MeshModelsAnswer['models'][number]>();
  });

  it('brings a model, and says how far all are', async () => {
    const asked: string[] = [];
    const { call } = await start({
      transfers: () => [TRANSFER],
      pull: async ({ model }, { signal }) => {
        asked.push(`${model} ${signal.aborted}`);
        return PULLED;
      },
    });
    const answer = await call('/api/v1/models/pull', { model: 'hf.co/owner/graph:q4@main' });
    expect(PullAnswer.parse(await answer.json())).toEqual(PULLED);
    expect(asked).toEqual(['hf.co/owner/graph:q4@main false']);
    const { transfers } = TransfersAnswer.parse(await (await call('/api/v1/transfers')).json());
    expect(transfers).toEqual([{ ...TRANSFER, etaSeconds: undefined }]);
  });

  it('imports what lies at an absolute path, with what is said of it', async () => {
    const asked: object[] = [];
    const outcome: ImportOutcome = {
      id: 'local/graph',
      digest: PULLED.digest,
      task: 'tensor',
      reason: 'Its inputs are of no known task.',
      sizeBytes: 9,
      wasHere: false,
      warnings: ['No licence was found.'],
    };
    const { call } = await start({
      import: async (request) => {
        asked.push(request);
        return outcome;
      },
    });
    const answer = await call('/api/v1/models/import', { path: '/models/graph.onnx', task: 'tensor' });
    expect(ImportAnswer.parse(await answer.json())).toEqual(outcome);
    expect(asked).toEqual([{ path: '/models/graph.onnx', task: 'tensor' }]);
    const relative = await call('/api/v1/models/import', { path: '../graph.onnx' });
    expect(relative.status).toBe(400);
    expect(ErrorBody.parse(await relative.json()).error.param).toBe('path');
    expect(asked).toHaveLength(1);
  });

  it('verifies one model or all, and repairs unless it is told not to', async () => {
    const asked: unknown[] = [];
    const report: VerifyReport = {
      id: 'owner/graph',
      digest: PULLED.digest,
      sizeBytes: 30,
      damaged: [{ path: 'onnx/model.onnx', chunks: 1, bytes: 4 }],
      repaired: false,
      reason: 'Nobody has it.',
      signers: [],
    };
    const { call } = await start({
      verify: async (name, { repair }) => {
        asked.push([name, repair]);
        return [report];
      },
    });
    const answer = await call('/api/v1/models/verify', {});
    expect(VerifyAnswer.parse(await answer.json())).toEqual({ models: [report] });
    await call('/api/v1/models/verify', { model: 'graph', repair: false });
    expect(asked).toEqual([
      [undefined, true],
      ['graph', false],
    ]);
  });

  it('cleans up, and says what the models take', async () => {
    const asked: object[] = [];
    const { call } = await start({
      cleanUp: async (options) => {
        asked.push(options);
        return { freedBytes: 7, removed: [{ what: 'an interrupted pull', bytes: 7 }] };
      },
      storage: async () => ({ usedBytes: 50, quotaBytes: undefined, freeBytes: 100 }),
    });
    const answer = await call('/api/v1/models/gc', { dryRun: true });
    expect(CleanUpAnswer.parse(await answer.json())).toEqual({
      freedBytes: 7,
      removed: [{ what: 'an interrupted pull', bytes: 7 }],
      storage: { usedBytes: 50, freeBytes: 100 },
    });
    await call('/api/v1/models/gc', { partial: true });
    expect(asked).toEqual([
      { dryRun: true, partial: false },
      { dryRun: false, partial: true },
    ]);
  });

  it('shows every model of the mesh, although a model could have that name', async () => {
    const models: MeshModel[] = [
      {
        id: 'owner/graph',
        digest: PULLED.digest,
        sizeBytes: 30,
        nodes: [
          { node: SELF, name: 'desk', self: true, heldBytes: 12, state: undefined },
          { node: OTHER, name: 'attic', self: false, heldBytes: 30, state: 'loaded' },
        ],
      },
    ];
    const { call } = await start({ meshModels: () => models });
    expect(MeshModelsAnswer.parse(await (await call('/api/v1/models/mesh')).json())).toEqual({ models });
  });

  it('lists what has a short name', async () => {
    const models = [{ name: 'graph', id: 'owner/graph', task: 'tensor', description: 'adds numbers' }];
    const { call } = await start({ catalogue: () => models });
    expect(CatalogueAnswer.parse(await (await call('/api/v1/catalogue')).json())).toEqual({ models });
  });

  it.each<[ErrorCode, number]>([
    ['model_not_found', 404],
    ['hub_unreachable', 503],
    ['hub_refused', 403],
    ['disk_full', 507],
    ['model_corrupt', 503],
    ['signature_invalid', 403],
  ])('answers %s with %i and what to do', async (code, status) => {
    const pull = () => Promise.reject(new WeftError({ code, message: 'It could not be brought.', remedy: 'Do this.' }));
    const { call } = await start({ pull });
    const answer = await call('/api/v1/models/pull', { model: 'owner/graph' });
    expect(answer.status).toBe(status);
    const { error } = ErrorBody.parse(await answer.json());
    expect(error).toMatchObject({ weft_code: code, message: 'It could not be brought.', remedy: 'Do this.' });
  });

  it.each([
    ['pull', {}],
    ['pull', { model: '' }],
    ['pull', { model: 'a'.repeat(5_000) }],
    ['pull', { model: 'a/b', more: 1 }],
    ['import', {}],
    ['import', { path: `/${'a'.repeat(5_000)}` }],
    ['import', { path: '/a', id: 'a'.repeat(300) }],
    ['verify', { model: 'a', repair: 'yes' }],
    ['gc', { dryRun: 1 }],
  ])('refuses a %s that says %j', async (action, body) => {
    const { call } = await start({});
    expect((await call(`/api/v1/models/${action}`, body)).status).toBe(400);
  });

  it('takes what changes something by POST alone', async () => {
    const { call } = await start({});
    for (const action of ['pull', 'import', 'verify', 'gc']) {
      expect((await call(`/api/v1/models/${action}`)).status).toBe(405);
    }
  });
});

describe('a wait for the library', () => {
  it('ends with its client', async () => {
    const begun = Promise.withResolvers<void>();
    const reason = Promise.withResolvers<unknown>();
    const { url } = await start({
      pull: (_request, { signal }) => {
        begun.resolve();
        signal.addEventListener('abort', () => reason.resolve(signal.reason), { once: true });
        return ended(signal);
      },
    });
    const client = new AbortController();
    const answer = fetch(`${url}/api/v1/models/pull`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: '{"model":"owner/graph"}',
      signal: client.signal,
    });
    await begun.promise;
    client.abort();
    await expect(answer).rejects.toThrow();
    expect(await reason.promise).toMatchObject({ code: 'cancelled' });
  });

  it('has no deadline, unlike any other request', async () => {
    const waits: number[] = [];
    const clock = {
      ...systemClock,
      after: (ms: number, callback: () => void) => {
        waits.push(ms);
        return systemClock.after(ms, callback);
      },
    };
    const answerMsMax = 1_234_567;
    const { call } = await start({ pull: async () => PULLED }, { limits: { answerMsMax }, components: { clock } });
    await call('/api/v1/models/pull', { model: 'owner/graph' });
    expect(waits).not.toContain(answerMsMax);
    await call('/api/v1/models/mesh');
    expect(waits).toContain(answerMsMax);
  });

  it('ends with the node', async () => {
    const begun = Promise.withResolvers<void>();
    const { gateway, call } = await start({
      pull: (_request, { signal }) => {
        begun.resolve();
        return ended(signal);
      },
    });
    const answer = call('/api/v1/models/pull', { model: 'owner/graph' });
    await begun.promise;
    const stopped = gateway.stop();
    expect((await answer).status).toBe(503);
    await stopped;
  });
});

describe('POST /api/v1/transfers/cancel', () => {
  it('ends the one that is meant, and says whether there was something to end', async () => {
    const asked: string[] = [];
    const library = fakeLibrary({
      cancel: (id) => {
        asked.push(id);
        if (id !== 'pull-1') throw new WeftError({ code: 'not_found', message: 'None.' });
        return asked.length === 1;
      },
    });
    const { call } = await startGateway({ control: { library } });
    const cancel = async (id: unknown): Promise<unknown> => (await call('/api/v1/transfers/cancel', { id })).json();
    expect(await cancel('pull-1')).toEqual({ id: 'pull-1', cancelled: true });
    expect(await cancel('pull-1')).toEqual({ id: 'pull-1', cancelled: false });
    expect(await cancel('pull-2')).toMatchObject({ error: { weft_code: 'not_found' } });
    expect(await cancel(7)).toMatchObject({ error: { weft_code: 'bad_request', param: 'id' } });
    expect(asked).toEqual(['pull-1', 'pull-1', 'pull-2']);
  });
});
