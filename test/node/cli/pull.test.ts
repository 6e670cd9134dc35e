// `weft pull` and `weft import`, on the program's own command line, against a fake daemon.
import type { ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import type { ImportAnswer, PullAnswer, TransferState } from '../../../protocol/api/control.ts';
import { drivesTerminal, HOSTILE, MEMBERS, type Routes, runCommand as run, STATUS } from './command-support.ts';
import { fakeDaemon, homeOf, openEvents, recordedContext, refuse, type SentEvents, sendJson } from './fake-daemon.ts';

const PULLED: PullAnswer = {
  id: 'owner/name',
  digest: `sha256:${'ab'.repeat(32)}`,
  wasHere: false,
  sizeBytes: 108_600_000,
  hereBytes: 0,
  peerBytes: 80_000_000,
  hubBytes: 28_600_000,
  durationMs: 12_300,
  chosen: ['onnx/model_q4.onnx: the smallest that fits.'],
  signers: [
    { key: 'n2', name: 'server', standing: 'member' },
    { key: `ed25519:${'0a'.repeat(32)}`, standing: 'listed' },
  ],
  warnings: ['Its licence could not be told.'],
};

const STATE: TransferState = {
  id: 'tr_1',
  kind: 'pull',
  model: 'owner/name',
  phase: 'fetching',
  chosen: [],
  totalBytes: 100_000_000,
  doneBytes: 48_000_000,
  hereBytes: 0,
  bytesPerSecond: 92_000_000,
  sources: [{ kind: 'peer', name: 'n2', bytes: 41_000_000, bytesPerSecond: 80_000_000, state: 'active' }],
};

/** A daemon that answers a pull when the test lets it, and sends events as the test likes. */
function pulling(answer: object = PULLED, transfers: readonly TransferState[] = []) {
  const asked = Promise.withResolvers<unknown>();
  const closed = Promise.withResolvers<void>();
  const events = Promise.withResolvers<SentEvents>();
  const finish = Promise.withResolvers<void>();
  const routes: Routes = {
    'GET /api/v1/status': STATUS,
    'GET /api/v1/members': MEMBERS,
    'GET /api/v1/transfers': { transfers },
    'GET /api/v1/events': (_body: unknown, response: ServerResponse) => events.resolve(openEvents(response)),
    'POST /api/v1/models/pull': async (body: unknown, response: ServerResponse) => {
      response.on('close', closed.resolve);
      asked.resolve(body);
      await finish.promise;
      sendJson(response, answer);
    },
  };
  return { routes, asked: asked.promise, closed: closed.promise, events: events.promise, finish: finish.resolve };
}

/** Resolves when stderr holds the text. */
async function shows(context: ReturnType<typeof recordedContext>, text: string): Promise<void> {
  while (!context.err().includes(text)) await new Promise((next) => setImmediate(next));
}

describe('weft pull', () => {
  it('says at its end what came from where, and who signed it', async () => {
    const fake = pulling();
    fake.finish();
    const { context, requests } = await run(['pull', 'owner/name:q4'], fake.routes);
    expect(await fake.asked).toEqual({ model: 'owner/name:q4' });
    expect(context.out()).toBe(
      'owner/name is here: 109 MB in 12.3 s.\n' +
        '80.0 MB from peers instead of the internet, 28.6 MB from the hub.\n' +
        `Signed by server (member), ed25519:${'0a'.repeat(8)}… (listed in signers).\n`,
    );
    expect(context.err()).toBe('! Its licence could not be told.\n');
    expect(requests).toContain('GET /api/v1/events?types=transfer');
  });

  it('says that it was here', async () => {
    const fake = pulling({ ...PULLED, wasHere: true, signers: [], warnings: [] });
    fake.finish();
    const { context } = await run(['pull', 'owner/name'], fake.routes);
    expect(context.out()).toBe('owner/name was here already: 109 MB.\nNobody has signed it.\n');
  });

  it('prints plain lines where stderr is no terminal', async () => {
    const fake = pulling({ ...PULLED, warnings: [] });
    const context = recordedContext();
    const done = run(['pull', 'owner/name'], fake.routes, context);
    await fake.asked;
    const events = await fake.events;
    events.send('transfer', { ...STATE, phase: 'resolving', totalBytes: 0, doneBytes: 0, sources: [] });
    events.send('transfer', { ...STATE, chosen: ['The smallest.'], doneBytes: 0 });
    // Another one's: not what is waited for.
    events.send('transfer', { ...STATE, id: 'tr_2', model: 'owner/other', doneBytes: 99_000_000 });
    events.send('transfer', STATE);
    events.send('transfer', { ...STATE, phase: 'checking', doneBytes: 100_000_000 });
    await shows(context, 'checking');
    fake.finish();
    await done;
    expect(context.err()).toBe(
      'owner/name: looking for it\n' +
        'The smallest.\n' +
        'owner/name: fetching 100 MB\n' +
        ' 48 %  48.0 MB of 100 MB  92.0 MB/s\n' +
        'owner/name: checking its files\n',
    );
  });

  it('changes lines in place at a terminal, and leaves none behind', async () => {
    const fake = pulling({ ...PULLED, warnings: [] });
    const context = recordedContext({ tty: true });
    Object.assign(context.stderr, { isTTY: true, columns: 60 });
    const done = run(['pull', 'owner/name'], fake.routes, context);
    await fake.asked;
    (await fake.events).send('transfer', { ...STATE, chosen: ['The smallest.'] });
    await shows(context, 'peer server');
    fake.finish();
    await done;
    expect(context.err()).toContain('The smallest.\n');
    expect(context.err()).toContain('█');
    // Up to its first line, and all below cleared.
    expect(context.err().endsWith('\u{1b}[2A\r\u{1b}[J')).toBe(true);
    expect(context.out()).toContain('owner/name is here');
  });

  it('joins one that runs already, whatever it was called there', async () => {
    const fake = pulling({ ...PULLED, warnings: [] }, [
      { ...STATE, id: 'tr_0', phase: 'failed' },
      { ...STATE, id: 'tr_9', model: 'HuggingFaceTB/SmolLM2-135M-Instruct' },
    ]);
    const context = recordedContext();
    const done = run(['pull', 'smollm2'], fake.routes, context);
    await shows(context, 'fetching 100 MB');
    fake.finish();
    await done;
    expect(context.err()).toContain('HuggingFaceTB/SmolLM2-135M-Instruct: fetching 100 MB\n 48 %');
  });

  it.each(['--json', '--quiet'])('shows nothing on the way with %s', async (option) => {
    const fake = pulling({ ...PULLED, warnings: [] }, [STATE]);
    fake.finish();
    const { context, requests } = await run(['pull', 'owner/name', option], fake.routes);
    expect(context.err()).toBe('');
    expect(requests).toEqual(['POST /api/v1/models/pull']);
    if (option === '--json') expect(JSON.parse(context.out())).toEqual({ ...PULLED, warnings: [] });
    else expect(context.out()).toContain('owner/name is here');
  });

  it('ends at Ctrl-C, and says that what has come is kept and how to go on', async () => {
    const fake = pulling(PULLED, [STATE]);
    const context = recordedContext();
    const done = run(['pull', 'owner/name'], fake.routes, context);
    await fake.asked;
    context.abort();
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
    await fake.closed;
    expect(context.err()).toMatch(/^48\.0 MB of 100 MB have come, and are kept: `weft pull owner\/name` goes on/m);
  });

  it('ends at Ctrl-C before anything is known', async () => {
    const fake = pulling();
    const context = recordedContext();
    const done = run(['pull', 'owner/name', '--quiet'], fake.routes, context);
    await fake.asked;
    context.abort();
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
    expect(context.err()).toBe('What has come is kept: `weft pull owner/name` goes on from there.\n');
  });

  it('goes on without lines where there are no events to be had', async () => {
    const fake = pulling();
    fake.finish();
    const { context } = await run(['pull', 'owner/name'], {
      ...fake.routes,
      'GET /api/v1/events': (_body: unknown, response: ServerResponse) =>
        refuse(response, 429, 'overloaded', 'Too many watchers.'),
    });
    expect(context.out()).toContain('owner/name is here');
  });

  it.each(['disk_full', 'hub_unreachable', 'hub_refused', 'signature_invalid', 'model_not_found'])(
    'passes on %s with what to do',
    async (code) => {
      const failed = run(['pull', 'owner/name'], {
        ...pulling().routes,
        'POST /api/v1/models/pull': (_body: unknown, response: ServerResponse) =>
          refuse(response, 507, code, 'It could not be brought.'),
      });
      await expect(failed).rejects.toMatchObject({
        code,
        message: 'It could not be brought.',
        remedy: `Remedy of ${code}.`,
      });
    },
  );

  it('lets no name in an event drive the terminal', async () => {
    const fake = pulling({ ...PULLED, warnings: [] });
    const context = recordedContext();
    const done = run(['pull', 'owner/name'], fake.routes, context);
    await fake.asked;
    const events = await fake.events;
    const source = { kind: 'peer', name: HOSTILE, bytes: 1, bytesPerSecond: 1, state: 'blamed', reason: HOSTILE };
    events.send('transfer', { ...STATE, chosen: [HOSTILE], sources: [source] });
    events.send('transfer', { ...STATE, model: HOSTILE, phase: HOSTILE });
    events.send('transfer', { ...STATE, phase: 'installing' });
    await shows(context, 'installing');
    fake.finish();
    await done;
    expect(context.err()).toContain('�');
    expect(drivesTerminal(context.err())).toBe(false);
  });

  it('takes a path to the import, seen from where it runs', async () => {
    const asked: unknown[] = [];
    const routes = importing(asked);
    await run(['pull', './models/thing.onnx'], routes);
    await run(['pull', 'thing.onnx'], routes);
    expect(asked).toEqual([{ path: resolve('models/thing.onnx') }, { path: resolve('thing.onnx') }]);
  });
});

const IMPORTED: ImportAnswer = {
  id: 'local/thing',
  digest: PULLED.digest,
  task: 'feature-extraction',
  reason: 'It takes token ids and gives a vector for each.',
  sizeBytes: 23_400_000,
  wasHere: false,
  warnings: ['No licence was found.'],
};

function importing(asked: unknown[] = []): Routes {
  return {
    'GET /api/v1/transfers': { transfers: [{ ...STATE, kind: 'import', model: '/elsewhere' }] },
    'GET /api/v1/events': (_body: unknown, response: ServerResponse) => void openEvents(response),
    'POST /api/v1/models/import': (body: unknown, response: ServerResponse) => {
      asked.push(body);
      sendJson(response, IMPORTED);
    },
  };
}

describe('weft import', () => {
  it('says what became of it, and why it is for that', async () => {
    const asked: unknown[] = [];
    const args = ['import', 'thing', '--id', 'me/thing', '--task', 'tensor', '--licence', 'MIT'];
    const { context } = await run(args, importing(asked));
    expect(asked).toEqual([{ path: resolve('thing'), id: 'me/thing', task: 'tensor', licence: 'MIT' }]);
    expect(context.out()).toBe(
      'local/thing is here: 23.4 MB, for embeddings.\nIt takes token ids and gives a vector for each.\n',
    );
    expect(context.err()).toBe('! No licence was found.\n');
  });

  it('has the answer for programs', async () => {
    const { context } = await run(['import', 'thing', '--json'], importing());
    expect(JSON.parse(context.out())).toEqual(IMPORTED);
    expect(context.err()).toBe('');
  });
});

describe('weft run of a model that nobody has', () => {
  const listing = { id: 'owner/name', aliases: [], task: 'text-generation', nodes: [], precision: 'q4' };

  /** Knows the model once it has been pulled. */
  function missing() {
    const state = { here: false };
    const fake = pulling({ ...PULLED, warnings: [] });
    fake.finish();
    const notHere = (_body: unknown, response: ServerResponse) =>
      refuse(response, 404, 'model_not_found', 'No such model is installed here.');
    const routes: Routes = {
      ...fake.routes,
      'GET /api/v1/models/owner%2Fname': notHere,
      'GET /api/v1/models/hf.co%2Fowner%2Fname%3Aq4': notHere,
      'GET /api/v1/models': (_body: unknown, response: ServerResponse) =>
        sendJson(response, { models: state.here ? [listing] : [] }),
      'POST /api/v1/models/pull': (_body: unknown, response: ServerResponse) => {
        state.here = true;
        sendJson(response, { ...PULLED, warnings: [] });
      },
      'POST /v1/chat/completions': (body: unknown, response: ServerResponse) => {
        const { model } = body as { model: string };
        if (!state.here || !['owner/name', 'owner/name:q4'].includes(model)) {
          return refuse(response, 404, 'model_not_found', `There is no model "${model}".`);
        }
        response.writeHead(200, { 'content-type': 'text/event-stream', 'x-weft-node': 'n1' });
        const send = (chunk: object) => response.write(`data: ${JSON.stringify({ model, ...chunk })}\n\n`);
        send({ choices: [{ index: 0, delta: { content: 'Because.' }, finish_reason: null }] });
        send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], weft: { nodes: ['n1'] } });
        send({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } });
        response.end('data: [DONE]\n\n');
      },
    };
    return routes;
  }

  it.each(['owner/name', 'hf.co/owner/name:q4'])('offers the pull of %s at a terminal, and goes on', async (name) => {
    const context = recordedContext({ tty: true });
    const done = run(['run', name, 'Why?'], missing(), context);
    context.stdin.write('y\n');
    await done;
    expect(context.err()).toContain(`No node offers ${name} now. Pull it? [y/N]`);
    expect(context.err()).toContain('owner/name is here: 109 MB');
    expect(context.out()).toContain('Because.\n');
  });

  it('brings nothing without a yes', async () => {
    const context = recordedContext({ tty: true });
    await using daemon = await fakeDaemon({ 'GET /api/v1/status': STATUS, ...missing() });
    await using home = await homeOf(daemon.url);
    const done = runProgram(['run', 'owner/name', 'Why?', '--home', home.folder], context, '0.0.0');
    context.stdin.write('n\n');
    await expect(done).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'There is no model "owner/name".',
      remedy: 'Run `weft pull owner/name` first.',
    });
    expect(daemon.requests).not.toContain('POST /api/v1/models/pull');
  });

  it('names the pull where there is nobody to ask, or the answer is for a program', async () => {
    await expect(run(['run', 'owner/name', 'Why?'], missing())).rejects.toMatchObject({
      code: 'model_not_found',
      remedy: 'Run `weft pull owner/name` first.',
    });
    const terminal = recordedContext({ tty: true });
    await expect(run(['run', 'owner/name', 'Why?', '--json'], missing(), terminal)).rejects.toMatchObject({
      remedy: 'Run `weft pull owner/name` first.',
    });
  });

  it('leaves a name as it is that no pull could find', async () => {
    await expect(run(['run', 'nope', 'Why?'], missing())).rejects.toMatchObject({
      code: 'model_not_found',
      remedy: 'Remedy of model_not_found.',
    });
  });

  it('asks before a chat begins', async () => {
    const context = recordedContext({ tty: true });
    const done = run(['run', 'owner/name'], missing(), context);
    context.stdin.write('y\n');
    await shows(context, 'owner/name is here');
    context.stdin.write('Why?\n/bye\n');
    await done;
    expect(context.out()).toContain('Because.');
  });

  it('asks for the form that was named, and offers the pull of another', async () => {
    const named = ['owner/name:q4', 'owner/name:onnx/model_q4.onnx', 'owner/name:int8'];
    const notHere = (_body: unknown, response: ServerResponse) =>
      refuse(response, 404, 'model_not_found', 'No such model is installed here.');
    const routes: Routes = {
      ...missing(),
      ...Object.fromEntries(named.map((name) => [`GET /api/v1/models/${encodeURIComponent(name)}`, notHere])),
      'GET /api/v1/models': { models: [listing] },
      'POST /v1/chat/completions': (body: unknown, response: ServerResponse) =>
        refuse(response, 404, 'model_not_found', `Asked for ${(body as { model: string }).model}.`),
    };
    for (const name of named.slice(0, 2)) {
      await expect(run(['run', name, 'Why?'], routes)).rejects.toMatchObject({ message: `Asked for ${name}.` });
    }
    await expect(run(['run', 'owner/name:int8', 'Why?'], routes)).rejects.toMatchObject({
      remedy: 'Run `weft pull owner/name:int8` first.',
    });
  });

  it('knows a variant that is installed here by its id', async () => {
    const routes: Routes = {
      ...missing(),
      'GET /api/v1/models/owner%2Fname%3Aq4': { id: 'owner/name', offered: true },
      'POST /v1/chat/completions': (body: unknown, response: ServerResponse) =>
        refuse(response, 404, 'model_not_found', `Asked for ${(body as { model: string }).model}.`),
    };
    await expect(run(['run', 'owner/name:q4', 'Why?'], routes)).rejects.toMatchObject({
      message: 'Asked for owner/name.',
    });
  });
});
