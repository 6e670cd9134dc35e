// `weft plan` and `weft trace`, on the program's own command line, against a fake daemon.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PlanAnswer, PlanRequest, ReplayAnswer, RequestAnswer } from '../../../protocol/api/control.ts';
import { writeNpy } from '../../../protocol/npy.ts';
import { drivesTerminal, HOSTILE, type Routes, runCommand } from './command-support.ts';
import { recordedContext, refuse, sendJson } from './fake-daemon.ts';

const PRICE = { queueMs: 0, loadMs: 0, upMs: 2.5, computeMs: 40, downMs: 2.5, totalMs: 45 };
const SLOWER = { queueMs: 80, loadMs: 0, upMs: 0, computeMs: 120, downMs: 0, totalMs: 200 };

const ANSWER: PlanAnswer = {
  model: 'org/chat',
  work: 'generate',
  inputTokens: 12,
  requests: 1,
  plan: {
    kind: 'remote',
    node: 'n2',
    price: PRICE,
    samples: 31,
    correction: 1.25,
    withinMs: 60,
    others: [{ node: 'n1', price: SLOWER, samples: 0 }],
    rejected: [{ node: 'n3', reason: 'it is gone' }],
  },
  explanation: ['on server: 45.0 ms'],
};

const INSTALLED = {
  id: 'org/graph',
  inputs: [{ name: 'ids', type: 'int64', dims: ['batch', 'n'] }],
  outputs: [],
};

/** Runs a line; `asked` is what the daemon was sent, with the deadline's header. */
async function plan(
  args: readonly string[],
  { answer = ANSWER as object, task = 'text-generation', routes = {} as Routes } = {},
) {
  const asked: { readonly body: PlanRequest; readonly deadline: string | undefined }[] = [];
  const context = recordedContext();
  const { requests } = await runCommand(
    ['plan', ...args],
    {
      'GET /api/v1/models': { models: [{ id: 'org/chat', aliases: ['chat'], task, nodes: [] }] },
      'GET /api/v1/models/chat': (_body: unknown, response: ServerResponse) => sendJson(response, INSTALLED),
      'POST /api/v1/plan': (body: unknown, response: ServerResponse, { headers }: IncomingMessage) => {
        const deadline = headers['x-weft-deadline-ms'];
        asked.push({ body: body as PlanRequest, deadline: typeof deadline === 'string' ? deadline : undefined });
        sendJson(response, answer);
      },
      ...routes,
    },
    context,
  );
  return { asked, context, requests };
}

describe('weft plan', () => {
  it('shows the choice and the others with their priced parts, conditions, and who can not', async () => {
    const { asked, context } = await plan(['chat', '--input', 'Hello!']);
    expect(asked).toEqual([{ body: { model: 'chat', input: ['Hello!'] }, deadline: undefined }]);
    expect(context.out()).toBe(
      [
        'org/chat · generate · 12 tokens in',
        '',
        '   NODE            TOTAL  QUEUE  LOAD       UP  COMPUTE     DOWN  SAMPLES  CORRECTED',
        '→  server          45 ms   0 ms  0 ms  2.50 ms    40 ms  2.50 ms       31       ×1.3',
        '   laptop (here)  200 ms  80 ms  0 ms     0 ms   120 ms     0 ms    guess          -',
        'The node declines, and the next is asked, where it would take more than 60 ms itself.',
        'not n3: it is gone',
        '',
      ].join('\n'),
    );
  });

  it('reads texts from files, and passes on what belongs to them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-plan-'));
    try {
      const file = join(folder, 'text.txt');
      await writeFile(file, 'From a file.');
      const { asked } = await plan(['chat', '-i', `@${file}`, '-i', 'b=[1]', '-q', 'Which?', '--max-tokens', '7']);
      expect(asked[0]?.body).toEqual({
        model: 'chat',
        input: ['From a file.', 'b=[1]'],
        query: 'Which?',
        max_tokens: 7,
      });
      await expect(plan(['chat', '-i', `@${file}.not`])).rejects.toMatchObject({ code: 'bad_request' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("takes tensors by shape, of the graph's own type where none is named", async () => {
    const { asked } = await plan(['chat', '-s', 'ids=1,8', '-s', 'x=float16[2,3]', '-s', 'y=[4]', '-s', 'scalar=[]']);
    expect(asked[0]?.body).toEqual({
      model: 'chat',
      inputs: [
        { name: 'ids', dtype: 'int64', shape: [1, 8] },
        { name: 'x', dtype: 'float16', shape: [2, 3] },
        { name: 'y', dtype: 'float32', shape: [4] },
        { name: 'scalar', dtype: 'float32', shape: [] },
      ],
    });
  });

  it('takes tensors as weft infer does, and sends no element of them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-plan-'));
    try {
      const file = join(folder, 'x.npy');
      await writeFile(file, writeNpy({ type: 'float32', dims: [2], data: new Uint8Array(8) }));
      const { asked } = await plan(['chat', '-i', `x=@${file}`]);
      expect(asked[0]?.body).toEqual({ model: 'chat', inputs: [{ name: 'x', dtype: 'float32', shape: [2] }] });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const { asked } = await plan(['chat', '-i', 'ids=[[1,2,3]]'], { task: 'tensor' });
    expect(asked[0]?.body).toEqual({ model: 'chat', inputs: [{ name: 'ids', dtype: 'int64', shape: [1, 3] }] });
  });

  it('asks with a deadline, and says what would come of it', async () => {
    const refused = { deadlineMs: 30, meetable: false, quotedMs: 45, retryAfterMs: 1_000 };
    const { asked, context } = await plan(['chat', '-i', 'x', '--deadline', '30ms'], {
      answer: { ...ANSWER, deadline: refused },
    });
    expect(asked[0]?.deadline).toBe('30');
    expect(context.out()).toContain('with a deadline of 30 ms would be refused. The soonest answer takes 45 ms.');
    const taken = { ...ANSWER, deadline: { deadlineMs: 2_000, meetable: true } };
    const other = await plan(['chat', '-i', 'x', '--deadline', '2s'], { answer: taken });
    expect(other.context.out()).toContain('with a deadline of 2.0 s would be taken.');
  });

  it('prints the whole answer with --json', async () => {
    const { context, requests } = await plan(['chat', '-i', 'x', '--json']);
    expect(JSON.parse(context.out())).toEqual(ANSWER);
    expect(requests).not.toContain('GET /api/v1/members');
  });

  it.each<[string, readonly string[], string]>([
    ['no model', [], 'No model is named'],
    ['no input', ['chat'], 'nothing to plan'],
    ['a policy without a request', ['chat', '-i', 'x', '--policy', 'prequal'], '--replay'],
    ['a model beside a replay', ['chat', '--replay', 'req_1'], 'as it was'],
    ['a shape that is none', ['chat', '-s', 'x=1,b'], 'is no shape'],
    ['a type that there is not', ['chat', '-s', 'x=float7[1]'], 'is no shape'],
    ['a shape without a name', ['chat', '-s', '1,2'], 'names no tensor'],
  ])('refuses %s, and says what to write', async (_what, args, message) => {
    await expect(plan(args)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(message),
      remedy: expect.stringMatching(/^(Write|Name|Leave)/),
    });
  });

  it('takes a deadline in milliseconds alone, as the header has it', async () => {
    const { asked } = await plan(['chat', '-i', 'x', '--deadline', '30']);
    expect(asked[0]?.deadline).toBe('30');
  });

  it.each(['0', '0ms', '25h', '86400001', 'soon', '-5', '1.5'])('takes no deadline of %s', async (text) => {
    await expect(plan(['chat', '-i', 'x', '--deadline', text])).rejects.toMatchObject({
      code: 'commander.invalidArgument',
    });
  });

  it('points to the inputs of a graph that other tensors do not fit', async () => {
    const routes = {
      'POST /api/v1/plan': (_body: unknown, response: ServerResponse) =>
        refuse(response, 400, 'tensor_invalid', 'Inputs are missing: mask.'),
    };
    await expect(plan(['chat', '-s', 'ids=1,8'], { routes })).rejects.toMatchObject({
      remedy: expect.stringContaining('weft show chat'),
    });
  });

  it('lets no name drive the terminal', async () => {
    const { plan: chosen } = ANSWER;
    const rejected = [{ node: HOSTILE, reason: HOSTILE }];
    const hostile = { ...ANSWER, model: HOSTILE, plan: { ...chosen, node: HOSTILE, policy: HOSTILE, rejected } };
    const { context } = await plan(['chat', '-i', 'x'], { answer: hostile });
    expect(context.out()).toContain('evil');
    expect(drivesTerminal(context.out())).toBe(false);
  });
});

describe('weft plan --replay', () => {
  const old: PlanAnswer['plan'] = { ...ANSWER.plan, rejected: [] };
  const REPLAY: ReplayAnswer = {
    requestId: 'req_1',
    model: 'org/chat',
    status: 'ok',
    durationMs: 52,
    policy: 'prequal',
    placements: [
      {
        atMs: 1,
        old,
        measured: { upMs: 3, computeMs: 44 },
        new: { kind: 'local', node: 'n1', price: SLOWER, others: [], rejected: [] },
        explanation: [],
      },
    ],
  };
  const replay = (answer: ReplayAnswer, ...args: string[]) =>
    plan(['--replay', 'req_1', ...args], { routes: { 'GET /api/v1/requests/req_1/replay': answer } });

  it('shows what was predicted and measured then, and what the policy chooses now', async () => {
    const { context, requests } = await replay(REPLAY, '--policy', 'prequal');
    expect(requests).toContain('GET /api/v1/requests/req_1/replay?policy=prequal');
    expect(context.out()).toBe(
      [
        'req_1 · org/chat · ok · 52 ms',
        '',
        '                        NODE            TOTAL  QUEUE  LOAD       UP  COMPUTE     DOWN',
        'weft then, predicted    server          45 ms   0 ms  0 ms  2.50 ms    40 ms  2.50 ms',
        'measured                server          47 ms      -     -  3.00 ms    44 ms        -',
        'prequal now, predicted  laptop (here)  200 ms  80 ms  0 ms     0 ms   120 ms     0 ms',
        'prequal chooses another node.',
        '',
      ].join('\n'),
    );
  });

  it('says where the choice is the same, and why there is none', async () => {
    const [first] = REPLAY.placements;
    if (first === undefined) throw new Error('there is one');
    const { new: _again, ...without } = first;
    const placements = [
      { ...first, new: old },
      { ...without, atMs: 20, measured: {}, reason: 'What was known then is no longer kept.' },
    ];
    const { context } = await replay({ ...REPLAY, policy: 'weft', placements });
    expect(context.out()).toContain('placement 1, after 1.00 ms\n');
    expect(context.out()).toContain('weft chooses the same node.\n\nplacement 2, after 20 ms\n');
    expect(context.out()).toMatch(/no longer kept\.\n$/);
    const none = await replay({ ...REPLAY, placements: [] });
    expect(none.context.out()).toContain('It was never placed.');
    const json = await replay(REPLAY, '--json');
    expect(JSON.parse(json.context.out())).toEqual(REPLAY);
  });
});

describe('weft trace', () => {
  const TRACE: RequestAnswer = {
    requestId: 'req_1',
    traceId: 'ab'.repeat(16),
    name: 'POST /v1/chat/completions',
    model: 'org/chat',
    startedAtMs: 0,
    durationMs: 62,
    status: 'ok',
    promptTokens: 12,
    completionTokens: 3,
    spans: [
      { name: 'up', node: 'n2', startMs: 1, durationMs: 3, predictedMs: 2.5 },
      { name: 'compute', node: 'n2', startMs: 4, durationMs: 44, predictedMs: 40 },
    ],
    plans: [ANSWER.plan],
    failures: [{ node: 'n3', code: 'peer_lost', atMs: 12 }],
  };

  it('shows each part, measured beside predicted, what failed, and the plans', async () => {
    const { context } = await runCommand(['trace', 'req_1'], { 'GET /api/v1/requests/req_1': TRACE });
    expect(context.out()).toContain(
      [
        'req_1 · POST /v1/chat/completions · org/chat · ok · 62 ms',
        '',
        'PART     NODE      BEGAN  MEASURED  PREDICTED',
        'up       server  1.00 ms   3.00 ms    2.50 ms',
        'compute  server  4.00 ms     44 ms      40 ms',
        'n3 failed with peer_lost after 12 ms',
        '',
        'plan',
        '   NODE ',
      ].join('\n'),
    );
    expect(context.out()).toContain('→  server');
  });

  it('lists the last requests, by their whole ids, and prints both as JSON', async () => {
    const { spans: _spans, plans: _plans, failures: _failures, ...brief } = TRACE;
    const listed = { requests: [{ ...brief, nodes: ['n2'], failures: 0, plan: 'remote', predictedMs: 45 }] };
    const routes = { 'GET /api/v1/requests': listed, 'GET /api/v1/requests/req_1': TRACE };
    const { context } = await runCommand(['trace'], routes);
    expect(context.out().split('\n')[0]).toMatch(/^ID +WHAT +MODEL/);
    expect(context.out()).toContain('req_1  chat/completions');
    for (const [args, answer] of [
      [['trace', '--json'], listed],
      [['trace', 'req_1', '--json'], TRACE],
    ] as const) {
      const { context: json } = await runCommand(args, routes);
      expect(JSON.parse(json.out())).toEqual(answer);
    }
  });

  it('passes on that a request is not kept', async () => {
    const routes = {
      'GET /api/v1/requests/req_9': (_body: unknown, response: ServerResponse) =>
        refuse(response, 404, 'not_found', 'No request of this id is kept here.'),
    };
    await expect(runCommand(['trace', 'req_9'], routes)).rejects.toMatchObject({ code: 'not_found' });
  });
});
