// Every command that talks to a daemon, on the program's own command line, against a fake one.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../node/cli/command-table.ts';
import { runProgram } from '../../../node/cli/program.ts';
import { HARDWARE, MEMBERS, runCommand as run, STATUS } from './command-support.ts';
import { homeOf, recordedContext, refuse, sendChat } from './fake-daemon.ts';

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'weft-cli-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe('weft list', () => {
  const models = [
    {
      id: 'HuggingFaceTB/SmolLM2',
      aliases: ['smollm2'],
      task: 'text-generation',
      contextLength: 8192,
      dimensions: 0,
      sizeBytes: 108_600_000,
      nodes: [
        { node: 'n1', name: 'laptop', state: 'loaded', self: true },
        { node: 'n2', name: 'server', state: 'disk', self: false },
      ],
    },
  ];

  it('shows models and the nodes that offer them', async () => {
    const { context } = await run(['list'], { 'GET /api/v1/models': { models } });
    expect(context.out()).toBe(
      'NAME     ID                     TASK    SIZE  NODES\n' +
        'smollm2  HuggingFaceTB/SmolLM2  chat  109 MB  laptop (here, loaded), server\n',
    );
  });

  it('prints names alone for scripts, and none that a shell would run', async () => {
    const hostile = { ...models[0], id: '$(reboot)', aliases: ['a;b', '-rf', '`id`', 'x y', "it's", 'fine-1.5b'] };
    const { context } = await run(['list', '--names'], { 'GET /api/v1/models': { models: [...models, hostile] } });
    expect(context.out()).toBe('smollm2\nHuggingFaceTB/SmolLM2\nfine-1.5b\n');
  });

  it('shows each form of a model by the name that asks for it, where there are several', async () => {
    const nodes = [{ node: 'n2', name: 'server', state: 'disk', self: false }];
    const forms = [
      { form: 'q4', sizeBytes: 108_600_000, nodes: models[0]?.nodes },
      { form: 'fp16', sizeBytes: 270_000_000, nodes },
    ];
    const routes = { 'GET /api/v1/models': { models: [{ ...models[0], precision: 'q4', forms }] } };
    expect((await run(['list'], routes)).context.out()).toBe(
      'NAME          ID                          TASK    SIZE  NODES\n' +
        'smollm2:q4    HuggingFaceTB/SmolLM2:q4    chat  109 MB  laptop (here, loaded), server\n' +
        'smollm2:fp16  HuggingFaceTB/SmolLM2:fp16  chat  270 MB  server\n',
    );
    expect((await run(['list', '--names'], routes)).context.out().split('\n')).toEqual([
      ...['smollm2', 'HuggingFaceTB/SmolLM2'],
      ...['smollm2:q4', 'HuggingFaceTB/SmolLM2:q4', 'smollm2:fp16', 'HuggingFaceTB/SmolLM2:fp16', ''],
    ]);
  });

  it("prints the control API's answer with --json", async () => {
    const { context } = await run(['list', '--json'], { 'GET /api/v1/models': { models } });
    expect(JSON.parse(context.out())).toEqual({ models });
  });

  it('says what to do when there are none, and keeps stdout empty', async () => {
    const { context } = await run(['list'], { 'GET /api/v1/models': { models: [] } });
    expect(context.out()).toBe('');
    expect(context.err()).toContain('weft peers');
  });
});

describe('weft peers', () => {
  const connected = {
    node: '12D3KooWGRUzCgSbGdLeYxPm3cT8CMzFnUeRvbL7WJRXq9MNKRDh',
    name: 'server',
    state: 'connected',
    version: '0.1.0',
    hardware: HARDWARE,
    offers: [{ model: { id: 'org/a', digest: 'sha256:0' }, aliases: ['a'] }],
    load: { requestsInFlight: 2, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 },
    link: { rttMs: 0.42, goodputBytesPerSecond: 93_000_000, path: 'direct' },
    heardAgoMs: 12,
  };
  const gone = { node: 'n3', name: 'old', state: 'gone', version: '', offers: [] };

  it('shows what is known of each, and a dash for what is not', async () => {
    const { context } = await run(['peers'], { 'GET /api/v1/peers': { peers: [connected, gone] } });
    expect(context.out()).toBe(
      'NAME    NODE       STATE      HARDWARE               MODELS  LOAD           RTT    GOODPUT\n' +
        'server  …q9MNKRDh  connected  2 × x64 linux, 8.0 GB  a       2 running  0.42 ms  93.0 MB/s\n' +
        'old     n3         gone       -                      -       -                -          -\n',
    );
  });

  it('says of those that take no work that they take none, in words and with --json', async () => {
    const peers = [
      { ...connected, offers: [], withheld: 'paused' },
      { ...connected, name: 'attic', state: 'suspect', heardAgoMs: 3_000, offers: [], withheld: 'unlent' },
    ];
    const routes = { 'GET /api/v1/peers': { peers } };
    const lines = (await run(['peers'], routes)).context.out().split('\n');
    expect(lines[1]).toMatch(/^server +\S+ +connected, paused +2 ×/);
    expect(lines[2]).toMatch(/^attic +\S+ +suspect \(3\.0 s\), lends nothing +2 ×/);
    expect(JSON.parse((await run(['peers', '--json'], routes)).context.out())).toEqual({ peers });
  });
});

describe('weft status', () => {
  it('shows who the node is, and where its key lies', async () => {
    const { context } = await run(['status'], {});
    expect(context.out()).toMatch(/^Node +laptop \(n1\)$/m);
    expect(context.out()).toMatch(/^API key +.*api-key$/m);
    expect(context.out()).toMatch(/^Up for +1 m 15 s$/m);
  });

  it("prints the control API's answer and the key's file with --json", async () => {
    const { context } = await run(['status', '--json'], {});
    expect(JSON.parse(context.out())).toEqual({ ...STATUS, apiKeyFile: expect.stringMatching(/api-key$/) });
  });
});

describe('weft invite', () => {
  const expiresAtMs = Date.UTC(2030, 0, 1);

  it('prints the ticket alone to stdout', async () => {
    const { context } = await run(['invite'], { 'POST /api/v1/invitations': { ticket: 'weft1abc', expiresAtMs } });
    expect(context.out()).toBe('weft1abc\n');
    expect(context.err()).toContain('weft serve --join');
  });

  it('prints ticket and expiry with --json, and sends the time that was asked for', async () => {
    let asked: unknown;
    const { context } = await run(['invite', '--json', '--ttl', '1h'], {
      'POST /api/v1/invitations': (body: unknown, response: ServerResponse) => {
        asked = body;
        response.end(JSON.stringify({ ticket: 'weft1abc', expiresAtMs }));
      },
    });
    expect(asked).toEqual({ ttl_seconds: 3_600 });
    expect(JSON.parse(context.out())).toEqual({ ticket: 'weft1abc', expires_at: '2030-01-01T00:00:00.000Z' });
  });

  it('lists the tickets that are open, and cancels one', async () => {
    const { context } = await run(['invite', '--list'], {
      'GET /api/v1/invitations': { invitations: [{ id: 'abc', expiresAtMs: Date.now() + 3_600_000 }] },
    });
    expect(context.out()).toMatch(/^abc {2}.+ left\n$/);
    const none = await run(['invite', '--list'], { 'GET /api/v1/invitations': { invitations: [] } });
    expect(none.context.out()).toBe('No ticket is open.\n');
    const cancelled = await run(['invite', '--cancel', 'a/c', '--json'], {
      'DELETE /api/v1/invitations/a%2Fc': { cancelled: true },
    });
    expect(JSON.parse(cancelled.context.out())).toEqual({ cancelled: true });
  });

  it.each(['1', '0h', '1w', '-1h', 'h', '1h30m'])('refuses the time "%s"', async (ttl) => {
    const context = recordedContext();
    const failed = runProgram(['invite', `--ttl=${ttl}`], context, '0.0.0');
    await expect(failed).rejects.toMatchObject({ code: 'commander.invalidArgument' });
    expect(context.err()).toContain('30m');
  });
});

describe('weft join', () => {
  it('asks the daemon where one runs', async () => {
    let asked: unknown;
    const { context } = await run(['join', 'weft1abc'], {
      'POST /api/v1/join': (body: unknown, response: ServerResponse) => {
        asked = body;
        response.end(JSON.stringify({ mesh: 'ab', ...MEMBERS }));
      },
    });
    expect(asked).toEqual({ ticket: 'weft1abc' });
    expect(context.out()).toBe('Joined. Members: laptop, server\n');
    expect(context.err()).toContain('weft peers');
  });
});

describe('weft embed', () => {
  const answer = (count: number) => ({
    model: 'org/minilm',
    data: Array.from({ length: count }, (_, at) => ({ embedding: [at + 0.5, -0.25, 0, 0, 0, 1] })),
    usage: { prompt_tokens: 5 * count },
    weft: { nodes: ['n2'] },
  });
  const route = (body: unknown, response: ServerResponse) =>
    void response.end(JSON.stringify(answer((body as { input: string[] }).input.length)));

  it('shows the beginning of each vector, and who made them', async () => {
    const { context } = await run(['embed', 'minilm', 'Hello', 'x'.repeat(60)], { 'POST /v1/embeddings': route });
    expect(context.out()).toBe(
      '6 values [0.5000, -0.2500, 0.0000, 0.0000, …]  Hello\n' +
        `6 values [1.5000, -0.2500, 0.0000, 0.0000, …]  ${'x'.repeat(39)}…\n`,
    );
    expect(context.err()).toMatch(/^server · 10 tokens · /);
  });

  it('takes the lines of a pipe, in requests of a bounded size, and gives whole vectors with --json', async () => {
    const context = recordedContext();
    context.stdin.end(Array.from({ length: 600 }, (_, at) => `line ${at}\n`).join(''));
    const { requests } = await run(['embed', 'minilm', '--json'], { 'POST /v1/embeddings': route }, context);
    expect(requests.filter((request) => request === 'POST /v1/embeddings').length).toBe(2);
    const printed = JSON.parse(context.out());
    expect(printed.embeddings.length).toBe(600);
    expect(printed).toMatchObject({ model: 'org/minilm', prompt_tokens: 3_000, nodes: ['n2'] });
  });

  it('asks for shorter vectors', async () => {
    let asked: unknown;
    await run(['embed', 'minilm', 'Hello', '--dimensions', '128'], {
      'POST /v1/embeddings': (body: unknown, response: ServerResponse) => {
        asked = body;
        route(body, response);
      },
    });
    expect(asked).toEqual({ model: 'minilm', input: ['Hello'], dimensions: 128 });
  });

  it('refuses an empty pipe', async () => {
    const context = recordedContext();
    context.stdin.end('\n\n');
    await expect(run(['embed', 'minilm'], {}, context)).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('weft run', () => {
  const route = (_body: unknown, response: ServerResponse) => sendChat(response, ['The ', 'sky'], ['n2', 'n1']);

  it('streams the answer to stdout, and says on stderr which nodes gave it and how fast', async () => {
    const { context } = await run(['run', 'smollm2', 'Why', 'blue?'], { 'POST /v1/chat/completions': route });
    expect(context.out()).toBe('The sky\n');
    expect(context.err()).toMatch(/^server, then laptop \(here\) · first token .+ · .+ tokens\/s · 3 tokens\n$/);
  });

  it('takes the prompt from a pipe, and passes the settings on', async () => {
    const context = recordedContext();
    context.stdin.end('Why blue?\n');
    let asked: unknown;
    const args = ['run', 'smollm2', '--json', '--system', 'Be brief.', '--max-tokens', '8', '--temperature', '0.5'];
    await run(
      [...args, '--top-p', '0.9', '--seed', '7'],
      {
        'POST /v1/chat/completions': (body: unknown, response: ServerResponse) => {
          asked = body;
          sendChat(response, ['Hi']);
        },
      },
      context,
    );
    expect(asked).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Why blue?\n' },
      ],
      max_tokens: 8,
      temperature: 0.5,
      top_p: 0.9,
      seed: 7,
    });
    expect(JSON.parse(context.out())).toMatchObject({
      model: 'org/model',
      text: 'Hi',
      finish_reason: 'stop',
      usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
      nodes: ['n1'],
    });
  });

  it('passes on every setting of the draw, stops and the format', async () => {
    let asked: unknown;
    const args = ['--top-k', '40', '--min-p', '0.05', '--repeat-penalty', '1.1', '--presence-penalty', '0.5'];
    await run(
      ['run', 'smollm2', 'Hi', ...args, '--frequency-penalty=-0.5', '--stop', 'a', '--stop', 'b', '--format', 'json'],
      {
        'POST /v1/chat/completions': (body: unknown, response: ServerResponse) => {
          asked = body;
          sendChat(response, ['{}']);
        },
      },
    );
    expect(asked).toEqual({
      model: 'smollm2',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true },
      top_k: 40,
      min_p: 0.05,
      repetition_penalty: 1.1,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      stop: ['a', 'b'],
      response_format: { type: 'json_object' },
    });
  });

  it('sends the JSON schema of a file', async () => {
    await using folder = await temporaryFolder();
    const schema = { title: 'A person', type: 'object', properties: { age: { type: 'integer' } } };
    await writeFile(join(folder.path, 'schema.json'), JSON.stringify(schema));
    let asked: unknown;
    await run(['run', 'smollm2', 'Hi', '--format', `@${join(folder.path, 'schema.json')}`], {
      'POST /v1/chat/completions': (body: unknown, response: ServerResponse) => {
        asked = body;
        sendChat(response, ['{}']);
      },
    });
    expect(asked).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { name: 'A_person', schema, strict: true } },
    });
  });

  it.each(['yaml', '@', '@/no/such/file.json'])('refuses the format %s before it asks anyone', async (format) => {
    await expect(run(['run', 'smollm2', 'Hi', '--format', format], {})).rejects.toMatchObject({
      code: 'bad_request',
      remedy: expect.stringContaining('JSON schema'),
    });
  });

  it('does not wait for a pipe when the prompt is an argument', async () => {
    const { context } = await run(['run', 'smollm2', 'Hi'], { 'POST /v1/chat/completions': route });
    expect(context.stdin.writableEnded).toBe(false);
    expect(context.out()).toBe('The sky\n');
  });

  it('refuses an empty pipe before it asks anyone', async () => {
    const context = recordedContext();
    context.stdin.end('  \n');
    await expect(run(['run', 'smollm2'], {}, context)).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('passes on what the daemon refuses', async () => {
    const failed = run(['run', 'nope', 'Hi'], {
      'POST /v1/chat/completions': (_body: unknown, response: ServerResponse) =>
        refuse(response, 404, 'model_not_found', 'No node offers "nope".'),
    });
    await expect(failed).rejects.toMatchObject({ code: 'model_not_found', message: 'No node offers "nope".' });
  });

  it('ends the line it has begun when it is interrupted', async () => {
    const context = recordedContext();
    const interrupted = run(
      ['run', 'smollm2', 'Hi'],
      {
        'POST /v1/chat/completions': (_body: unknown, response: ServerResponse) =>
          void response.write('data: {"choices":[{"delta":{"content":"The"}}]}\n\n'),
      },
      context,
    );
    await context.printed('The');
    context.abort();
    await expect(interrupted).rejects.toMatchObject({ code: 'cancelled' });
    expect(context.out()).toBe('The\n');
  });
});

describe('without a daemon', () => {
  it.each(
    [
      ['list'],
      ['peers'],
      ['ps'],
      ['status'],
      ['invite'],
      ['members'],
      ['show', 'm'],
      ['stop', 'm'],
      ['rm', 'm', '--yes'],
      ['revoke', 'm'],
      ['run', 'm', 'Hi'],
      ['embed', 'm', 'Hi'],
      ['infer', 'm', '--input', 'a=1'],
      ['logs'],
      ['logs', '-f'],
      ['top'],
      ['bench'],
    ].map((args) => [args.join(' '), args] as const),
  )('%s says how to start one', async (_line, args) => {
    await using home = await homeOf('http://127.0.0.1:1');
    const context = recordedContext({ env: { WEFT_HOME: `${home.folder}/other` } });
    await expect(runProgram(args, context, '0.0.0')).rejects.toMatchObject({
      code: 'daemon_not_running',
      remedy: expect.stringContaining('weft serve'),
    });
  });
});

describe('a command line that can not be understood', () => {
  it('suggests the nearest command', async () => {
    const context = recordedContext();
    await expect(runProgram(['embd'], context, '0.0.0')).rejects.toMatchObject({ code: 'commander.unknownCommand' });
    expect(context.err()).toContain("weft: unknown command 'embd'");
    expect(context.err()).toContain('Did you mean embed?');
  });

  it('names an unknown option, and the help of its command', async () => {
    const context = recordedContext();
    await expect(runProgram(['list', '--jsn'], context, '0.0.0')).rejects.toMatchObject({ exitCode: 1 });
    expect(context.err()).toContain('Did you mean --json?');
    expect(context.err()).toContain('weft list --help');
  });

  it('refuses a number that is none', async () => {
    const context = recordedContext();
    await expect(runProgram(['run', 'm', 'p', '--seed', '1.5'], context, '0.0.0')).rejects.toMatchObject({
      code: 'commander.invalidArgument',
    });
  });
});

describe('with another key', () => {
  it.each([['list'], ['show', 'm'], ['stop'], ['logs', '-f'], ['top'], ['run', 'm', 'Hi']])(
    'weft %s says that it is refused',
    async (...args) => {
      const context = recordedContext({ env: { WEFT_API_KEY: 'another-key-0123456789' } });
      await expect(run(args, {}, context)).rejects.toMatchObject({
        code: 'unauthorized',
        remedy: expect.stringContaining('WEFT_API_KEY holds another key'),
      });
      expect(context.out()).toBe('');
    },
  );
});

describe('weft alone', () => {
  const screen = async (...args: string[]) => {
    const context = recordedContext();
    await runProgram(args, context, '0.0.0');
    return context.out();
  };

  it('prints help that fits a window of 24 lines and 80 columns, and succeeds', async () => {
    const lines = (await screen()).trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(await screen('--help')).toBe(await screen());
  });

  it('names every command there is, once', async () => {
    const words = (await screen()).split('\n\nBegin')[0]?.match(/(?<=^ {2}| {3,4})[a-z]+(?= {2,})/gm);
    expect(words?.toSorted()).toEqual(Object.keys(COMMANDS).toSorted());
  });

  it.each(Object.keys(COMMANDS))('has help for %s', async (name) => {
    const help = await screen(name, '--help');
    expect(help).toContain(`Usage: weft ${name}`);
    expect(help).toContain(COMMANDS[name]?.description.slice(0, 40));
    expect(await screen('help', name)).toBe(help);
  });
});
