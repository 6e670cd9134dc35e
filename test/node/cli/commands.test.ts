// Every command that talks to a daemon, on the program's own command line, against a fake one.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import {
  type FakeDaemon,
  fakeDaemon,
  homeOf,
  type RecordedContext,
  recordedContext,
  refuse,
  sendChat,
} from './fake-daemon.ts';

const HARDWARE = {
  platform: 'linux',
  arch: 'x64',
  cpuModel: 'EPYC',
  cpuCount: 2,
  memoryBytes: 8_000_000_000,
  devices: [{ kind: 'cpu', name: 'cpu', memoryBytes: 8_000_000_000 }],
};
const STATUS = {
  node: 'n1',
  name: 'laptop',
  version: '0.1.0',
  mesh: 'ab'.repeat(32),
  role: 'admin',
  api: 'http://127.0.0.1:9338',
  addresses: ['/ip4/127.0.0.1/tcp/9339/p2p/n1'],
  home: '/data',
  offer: 'all',
  members: 2,
  peersConnected: 1,
  requestsInFlight: 0,
  uptimeSeconds: 75,
  hardware: HARDWARE,
};
const MEMBERS = {
  members: [
    { node: 'n1', name: 'laptop', role: 'admin' },
    { node: 'n2', name: 'server', role: 'member' },
  ],
};

/** Runs a command line against a daemon with these routes. */
async function run(
  args: readonly string[],
  routes: Parameters<typeof fakeDaemon>[0],
  context: RecordedContext = recordedContext(),
): Promise<{ context: RecordedContext; requests: FakeDaemon['requests'] }> {
  await using daemon = await fakeDaemon({ 'GET /api/v1/status': STATUS, 'GET /api/v1/members': MEMBERS, ...routes });
  await using home = await homeOf(daemon.url);
  await runProgram([...args, '--home', home.folder], context, '0.0.0');
  return { context, requests: daemon.requests };
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
});

describe('weft ps', () => {
  it('shows what runners hold, and why a model is quarantined', async () => {
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
    const { context } = await run(['ps'], { 'GET /api/v1/ps': { models } });
    expect(context.out()).toBe(
      'NAME   STATE          SIZE  PROCESSOR  RUNNING  PID  UNTIL\n' +
        'org/a  loaded       380 MB  cpu              1   77  in 4 m 10 s\n' +
        'org/b  quarantined     0 B  cpu              0    -  -\n' +
        '\norg/b is quarantined: its runner died at two loads\n',
    );
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
    context.stdin.end(Array.from({ length: 300 }, (_, at) => `line ${at}\n`).join(''));
    const { requests } = await run(['embed', 'minilm', '--json'], { 'POST /v1/embeddings': route }, context);
    expect(requests.filter((request) => request === 'POST /v1/embeddings').length).toBe(2);
    const printed = JSON.parse(context.out());
    expect(printed.embeddings.length).toBe(300);
    expect(printed).toMatchObject({ model: 'org/minilm', prompt_tokens: 1_500, nodes: ['n2'] });
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
  it.each(['list', 'peers', 'ps', 'status', 'invite'])('%s says how to start one', async (command) => {
    await using home = await homeOf('http://127.0.0.1:1');
    const context = recordedContext({ env: { WEFT_HOME: `${home.folder}/other` } });
    await expect(runProgram([command], context, '0.0.0')).rejects.toMatchObject({
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

describe('weft alone', () => {
  it('prints help that fits one screen, and succeeds', async () => {
    const context = recordedContext();
    await runProgram([], context, '0.0.0');
    const lines = context.out().split('\n');
    expect(lines.length).toBeLessThanOrEqual(36);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const command of ['serve', 'run', 'embed', 'list', 'ps', 'peers', 'invite', 'join', 'status']) {
      expect(context.out()).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    }
  });
});
