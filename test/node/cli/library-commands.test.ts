// list --mesh, verify, gc and rm of variants, on the program's own command line, against a fake daemon.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import { exitCodeOf } from '../../../node/config/exit-codes.ts';
import type { CleanUpAnswer, MeshModelsAnswer, VerifyAnswer } from '../../../protocol/api/control.ts';
import { type Routes, runCommand as run } from './command-support.ts';
import { fakeDaemon, homeOf, openEvents, recordedContext, sendJson } from './fake-daemon.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;

describe('weft list --mesh', () => {
  const models: MeshModelsAnswer['models'] = [
    {
      id: 'owner/name',
      digest: DIGEST,
      sizeBytes: 1_000_000_000,
      nodes: [
        { node: 'n1', name: 'laptop', self: true, heldBytes: 400_900_000 },
        { node: 'n2', name: 'server', self: false, heldBytes: 1_000_000_000, state: 'loaded' },
        { node: 'n3', name: 'nas', self: false, heldBytes: 999_999_999 },
        { node: 'n4', name: 'old', self: false, heldBytes: 5 },
      ],
    },
    { id: 'owner/other', digest: DIGEST, sizeBytes: 5_000, nodes: [] },
  ];
  const routes = (answer: MeshModelsAnswer): Routes => ({ 'GET /api/v1/models/mesh': answer });

  it('says what of each model is where, and rounds nothing up to all or down to nothing', async () => {
    const { context } = await run(['list', '--mesh'], routes({ models }));
    expect(context.out()).toBe(
      'ID             SIZE  NODES\n' +
        'owner/name   1.0 GB  laptop (here) 40 %, server (loaded) 100 %, nas 99 %, old <1 %\n' +
        'owner/other  5.0 kB  -\n',
    );
  });

  it('tells variants of one id apart', async () => {
    const variants = models.map((model, at) => ({
      ...model,
      id: 'owner/name',
      digest: `sha256:${at}`.padEnd(71, '0'),
    }));
    const { context } = await run(['list', '--mesh'], routes({ models: variants }));
    expect(context.out()).toMatch(/^owner\/name {2}00000000 +1\.0 GB/m);
    expect(context.out()).toMatch(/^owner\/name {2}10000000 +5\.0 kB/m);
  });

  it('has the same for programs, and says so when there is none', async () => {
    const { context: json } = await run(['list', '--mesh', '--json'], routes({ models }));
    expect(JSON.parse(json.out())).toEqual({ models });
    const { context: none } = await run(['list', '--mesh'], routes({ models: [] }));
    expect(none.out()).toBe('');
    expect(none.err()).toContain('weft pull');
  });
});

describe('weft verify', () => {
  const whole: VerifyAnswer['models'][number] = {
    id: 'owner/name',
    digest: DIGEST,
    sizeBytes: 30_000_000,
    damaged: [],
    repaired: false,
    signers: [{ key: 'n2', name: 'server', standing: 'member' }],
  };
  const damaged: VerifyAnswer['models'][number] = {
    ...whole,
    id: 'owner/bad',
    damaged: [
      { path: 'onnx/model.onnx', chunks: 2, bytes: 8_400_000 },
      { path: 'config.json', chunks: 1, bytes: 700 },
    ],
  };

  function routes(models: VerifyAnswer['models'], asked: unknown[] = []): Routes {
    return {
      'GET /api/v1/transfers': { transfers: [] },
      'GET /api/v1/events': (_body: unknown, response: ServerResponse) => void openEvents(response),
      'POST /api/v1/models/verify': (body: unknown, response: ServerResponse) => {
        asked.push(body);
        sendJson(response, { models });
      },
    };
  }

  it('says of each model whether it is whole, and who signed it', async () => {
    const asked: unknown[] = [];
    const { context } = await run(['verify'], routes([whole, { ...damaged, repaired: true }], asked));
    expect(asked).toEqual([{ repair: true }]);
    expect(context.out()).toBe(
      '✓ owner/name: 30.0 MB, whole. Signed by server (member).\n' +
        '✓ owner/bad: damaged were 2 chunks of onnx/model.onnx (8.4 MB), 1 chunk of config.json (700 B); brought anew.\n',
    );
  });

  it('fails where something stays damaged, with the reason', async () => {
    const asked: unknown[] = [];
    const context = recordedContext();
    const stays = { ...damaged, reason: 'No node that has it can be reached.' };
    const failed = run(['verify', 'bad', '--no-repair'], routes([whole, stays], asked), context);
    const error = await failed.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'model_corrupt', message: '1 of 2 models is damaged: owner/bad.' });
    expect(exitCodeOf(error)).toBe(7);
    expect(asked).toEqual([{ model: 'bad', repair: false }]);
    expect(context.out()).toContain('✗ owner/bad: damaged were 2 chunks');
    expect(context.out()).toContain('; not repaired: No node that has it can be reached.\n');
  });

  it('prints the answer for programs, and fails all the same', async () => {
    const context = recordedContext();
    await expect(run(['verify', '--json'], routes([damaged]), context)).rejects.toMatchObject({
      code: 'model_corrupt',
    });
    expect(JSON.parse(context.out())).toEqual({ models: [damaged] });
  });

  it('says so when nothing is installed', async () => {
    expect((await run(['verify'], routes([]))).context.err()).toBe('No model is installed here.\n');
  });

  it('ends at Ctrl-C', async () => {
    const context = recordedContext();
    const asked = Promise.withResolvers<void>();
    const done = run(['verify', '-q'], { 'POST /api/v1/models/verify': () => asked.resolve() }, context);
    await asked.promise;
    context.abort();
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('weft gc', () => {
  const answer: CleanUpAnswer = {
    freedBytes: 1_500_000,
    removed: [
      { what: 'a pull that nobody goes on with', bytes: 1_000_000 },
      { what: 'a file of no model', bytes: 500_000 },
    ],
    storage: { usedBytes: 130_000_000, quotaBytes: 200_000_000_000, freeBytes: 90_000_000_000 },
  };

  function routes(body: CleanUpAnswer, asked: unknown[] = []): Routes {
    return {
      'POST /api/v1/models/gc': (request: unknown, response: ServerResponse) => {
        asked.push(request);
        sendJson(response, body);
      },
    };
  }

  it('says what was deleted, and what the models take', async () => {
    const asked: unknown[] = [];
    const { context } = await run(['gc', '--partial'], routes(answer, asked));
    expect(asked).toEqual([{ dryRun: false, partial: true }]);
    expect(context.out()).toBe(
      '  1.0 MB  a pull that nobody goes on with\n' +
        '  500 kB  a file of no model\n' +
        '1.5 MB freed.\n' +
        'Models take 130 MB of 200 GB; 90.0 GB of the disk are free.\n',
    );
  });

  it('only says what would be with --dry-run', async () => {
    const asked: unknown[] = [];
    const { context } = await run(['gc', '--dry-run'], routes(answer, asked));
    expect(asked).toEqual([{ dryRun: true, partial: false }]);
    expect(context.out()).toContain('1.5 MB would be freed.\n');
  });

  it('says so when nothing is left over, and has the answer for programs', async () => {
    const storage = { usedBytes: 1_000, freeBytes: 2_000 };
    const { context } = await run(['gc'], routes({ freedBytes: 0, removed: [], storage }));
    expect(context.out()).toBe('Nothing is left over.\nModels take 1.0 kB; 2.0 kB of the disk are free.\n');
    const { context: json } = await run(['gc', '--json'], routes(answer));
    expect(JSON.parse(json.out())).toEqual(answer);
  });
});

describe('weft rm of a variant', () => {
  it('deletes the one that it has shown', async () => {
    const asked: unknown[] = [];
    await using daemon = await fakeDaemon({
      'GET /api/v1/models/owner%2Fname%3Aq4': { id: 'owner/name', digest: DIGEST, sizeBytes: 5 },
      'POST /api/v1/models/remove': (body: unknown, response: ServerResponse) => {
        asked.push(body);
        sendJson(response, { id: 'owner/name', freedBytes: 5 });
      },
    });
    await using home = await homeOf(daemon.url);
    await runProgram(['rm', 'owner/name:q4', '--yes', '--home', home.folder], recordedContext(), '0.0.0');
    expect(asked).toEqual([{ model: DIGEST }]);
  });
});
