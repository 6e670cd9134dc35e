// Every command of a working day, as a person or a script runs it, on two real daemons: one that works, and one that offers
// nothing and has everything done by the other.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectedPeers } from '../support/connected-peers.ts';
import { type CommandResult, type Daemon, pair, runWeft, startDaemon } from '../support/daemon.ts';
import { isAlive, until } from '../support/wait.ts';

const CHAT = 'HuggingFaceTB/SmolLM2-135M-Instruct';
const MINILM = 'Xenova/all-MiniLM-L6-v2';
const QUESTION = 'Name the capital of France.';

let folder: string;
let worker: Daemon;
let edge: Daemon;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-commands-'));
  [worker, edge] = await Promise.all([
    startDaemon({ env: { WEFT_NAME: 'worker' } }),
    startDaemon({ env: { WEFT_NAME: 'edge' }, args: ['--offer', 'none'] }),
  ]);
  await pair(worker, edge);
  await connectedPeers(edge, 1);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a command on a data folder into pipes, where nothing may look like a terminal's. */
async function weft(home: string, args: readonly string[], init: { code?: number; stdin?: string } = {}) {
  const result = await runWeft(args, { WEFT_HOME: home, WEFT_MDNS: 'false' }, init.stdin);
  expect(result, result.stderr).toMatchObject({ code: init.code ?? 0 });
  expect(result.stdout + result.stderr).not.toContain('\u{1b}');
  return result;
}

/** The one object that a command prints with --json. */
async function json(home: string, ...args: readonly string[]) {
  const { stdout } = await weft(home, [...args, '--json']);
  expect(stdout.match(/\n/g)).toEqual(['\n']);
  return JSON.parse(stdout);
}

/** Greedy, short, and with settings that a test adds. */
const run = (...args: readonly string[]): string[] => ['run', 'smollm2', '--temperature', '0', '--max-tokens', ...args];

const file = (name: string): string => join(folder, name);

describe('weft run', () => {
  it('answers an argument and a pipe alike, and says on stderr who did', async () => {
    const asked = await weft(edge.home, run('16', QUESTION));
    expect(asked.stdout).toContain('Paris');
    expect(asked.stderr).toMatch(/^worker · first token [\d.]+ m?s · [\d.]+ tokens\/s · \d+ tokens\n$/);
    const piped = await weft(edge.home, run('16'), { stdin: QUESTION });
    expect(piped.stdout).toBe(asked.stdout);
    expect(await json(edge.home, ...run('16', QUESTION))).toMatchObject({
      model: CHAT,
      text: asked.stdout.slice(0, -1),
      finish_reason: 'stop',
      usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) },
      nodes: [worker.node],
      ttft_ms: expect.any(Number),
      total_ms: expect.any(Number),
      tokens_per_second: expect.any(Number),
    });
  });

  it('draws as it is told: the same seed, the same answer; one candidate, the greedy one', async () => {
    const greedy = await json(edge.home, ...run('12', QUESTION));
    const drawn = async (...args: string[]) =>
      (await json(edge.home, 'run', 'smollm2', '--max-tokens', '12', '--temperature', '1.9', ...args, QUESTION)).text;
    const sampler = ['--top-p', '0.99', '--min-p', '0.001', '--repeat-penalty', '1.1', '--presence-penalty', '0.2'];
    const seeded = await drawn('--seed', '7', ...sampler);
    expect(await drawn('--seed', '7', ...sampler)).toBe(seeded);
    expect(await drawn('--seed', '7', '--top-k', '1')).toBe(greedy.text);
    const short = await json(edge.home, ...run('3', QUESTION));
    expect(short).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 3 } });
    expect(greedy.text.startsWith(short.text)).toBe(true);
  });

  it('ends before a --stop, and takes no fifth of them', async () => {
    const { text, finish_reason } = await json(edge.home, ...run('16', QUESTION, '--stop', 'Paris', '--stop', 'none'));
    expect(text).not.toContain('Paris');
    expect(finish_reason).toBe('stop');
    const five = ['a', 'b', 'c', 'd', 'e'].flatMap((stop) => ['--stop', stop]);
    expect((await weft(edge.home, run('4', QUESTION, ...five), { code: 2 })).stderr).toContain('stop');
  });

  it('answers in JSON with --format, by a schema where one is given', async () => {
    const free = await weft(edge.home, run('64', '--format', 'json', `${QUESTION} Answer in JSON.`));
    expect(() => JSON.parse(free.stdout)).not.toThrow();
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 }, large: { type: 'boolean' } },
      required: ['city', 'large'],
      additionalProperties: false,
    };
    await writeFile(file('schema.json'), JSON.stringify(schema));
    const shaped = await weft(edge.home, run('64', '--format', `@${file('schema.json')}`, QUESTION));
    expect(JSON.parse(shaped.stdout)).toEqual({ city: expect.any(String), large: expect.any(Boolean) });
    await weft(edge.home, run('4', '--format', `@${folder}`, QUESTION), { code: 2 });
  });
});

describe('weft embed and weft infer', () => {
  it('gives whole vectors, or their first dimensions at length one', async () => {
    const whole = await json(edge.home, 'embed', 'minilm', 'Hello world!', 'Grüße 👋🏽');
    expect(whole).toMatchObject({ model: MINILM, nodes: [worker.node], truncated: 0 });
    expect(whole.embeddings.map((vector: number[]) => vector.length)).toEqual([384, 384]);
    const { stdout } = await weft(edge.home, ['embed', 'minilm', '--dimensions', '8', '--json'], {
      stdin: 'Hello world!\nGrüße 👋🏽\n',
    });
    JSON.parse(stdout).embeddings.forEach((short: number[], at: number) => {
      expectClose(short, normalised(whole.embeddings[at].slice(0, 8)), 1e-5);
    });
    const people = await weft(edge.home, ['embed', 'minilm', 'Hello world!']);
    expect(people.stdout).toMatch(/^384 values \[(-?0\.\d{4}, ){4}…\] {2}Hello world!\n$/);
  });

  it("runs the model's graph on .npy and JSON, to .npy: pooled by hand it is what embed gives", async () => {
    const ids = new BigInt64Array([101n, 7592n, 102n]); // [CLS] hello [SEP]
    await writeFile(file('ids.npy'), npyOf('<i8', '(1, 3)', ids));
    await writeFile(file('mask.json'), '[[1, 1, 1]]');
    const inputs = [
      `input_ids=@${file('ids.npy')}`,
      `attention_mask=@${file('mask.json')}`,
      'token_type_ids=[[0,0,0]]',
    ];
    const infer = ['infer', 'minilm', ...inputs.flatMap((input) => ['-i', input])];
    const { stdout, stderr } = await weft(edge.home, [...infer, '-o', `last_hidden_state=@${file('hidden.npy')}`]);
    expect(stdout).toBe(`last_hidden_state  float32 [1, 3, 384] → ${file('hidden.npy')}\n`);
    expect(stderr).toContain('worker');

    const hidden = floatsOf(await readFile(file('hidden.npy')), '(1, 3, 384)');
    const mean = Array.from({ length: 384 }, (_, at) =>
      [0, 1, 2].reduce((sum, row) => sum + (hidden[row * 384 + at] ?? 0), 0),
    );
    const { embeddings } = await json(edge.home, 'embed', 'minilm', 'hello');
    expectClose(normalised(mean), embeddings[0], 1e-3);

    const { outputs } = await json(edge.home, ...infer);
    expect(outputs).toMatchObject([{ name: 'last_hidden_state', dtype: 'float32', shape: [1, 3, 384] }]);
    expectClose(outputs[0].data.flat(2), [...hidden], 1e-6);
  });
});

describe('what there is', () => {
  beforeAll(async () => {
    await weft(edge.home, run('1', QUESTION));
    const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].flatMap((name) => ['-i', `${name}=[[1]]`]);
    await weft(edge.home, ['infer', 'minilm', ...inputs]);
  });

  it('list, show and ps: models, who has them, and where they are in memory', async () => {
    const { models } = await json(edge.home, 'list');
    expect(models.map(({ id }: { id: string }) => id).sort()).toEqual([CHAT, MINILM]);
    for (const { nodes } of models) expect(nodes).toMatchObject([{ node: worker.node, name: 'worker', self: false }]);
    expect((await weft(edge.home, ['list', '--names'])).stdout.split('\n')).toContain('minilm');
    expect(await json(edge.home, 'show', 'minilm')).toMatchObject({
      id: MINILM,
      installed: true,
      offered: false,
      inputs: [{ name: 'input_ids', type: 'int64' }, {}, {}],
      nodes: [{ node: worker.node }],
    });
    await weft(edge.home, ['show', 'nothing'], { code: 6 });
    await until('the edge to hear what is loaded there', async () => {
      const ps = await json(edge.home, 'ps');
      expect(ps.models).toEqual([]);
      return ps.elsewhere.length === 2;
    });
    const { models: loaded, elsewhere } = await json(worker.home, 'ps');
    expect(elsewhere).toEqual([]);
    expect(loaded.map(({ id, state }: { id: string; state: string }) => [id, state]).sort()).toEqual([
      [CHAT, 'loaded'],
      [MINILM, 'loaded'],
    ]);
  });

  it('peers and members: who is there, and who belongs', async () => {
    const { peers } = await json(edge.home, 'peers');
    expect(peers).toMatchObject([{ node: worker.node, name: 'worker', state: 'connected', offers: [{}, {}] }]);
    const { members } = await json(worker.home, 'members');
    expect(members).toContainEqual({ node: edge.node, name: 'edge', role: 'member' });
    expect(members).toContainEqual({ node: worker.node, name: 'worker', role: 'admin' });
    const names = (await weft(worker.home, ['members', '--names'])).stdout;
    expect(names.trim().split('\n').sort()).toEqual(['edge', 'worker']);
  });

  it('status and top --once: this node with its load, its peers, and the last requests', async () => {
    const load = { queuedMs: expect.any(Number), memoryFreeBytes: expect.any(Number) };
    expect(await json(edge.home, 'status')).toMatchObject({ node: edge.node, offer: 'none', role: 'member', load });
    const top = await json(edge.home, 'top', '--once');
    expect(top).toMatchObject({ status: { name: 'edge', load }, peers: [{ name: 'worker' }], models: [] });
    const names = top.requests.map(({ name }: { name: string }) => name);
    expect(names).toContain('POST /api/v1/infer');
    for (const { nodes, status } of top.requests) if (status === 'ok') expect(nodes).toEqual([worker.node]);
    const { stdout } = await weft(edge.home, ['top', '--once']);
    expect(stdout).toMatch(/\nedge +here +0 +[\d.]+ m?s +[\d.]+ .B +- +- +-\n/);
  });

  it('logs -n: the last lines, whatever level the daemon prints', async () => {
    const { stdout } = await weft(worker.home, ['logs', '-n', '2', '--json']);
    const lines = stdout.trim().split('\n');
    expect(lines.length).toBe(2);
    expect(lines.map((line) => JSON.parse(line).message)).toContain('loaded a model');
    expect((await weft(worker.home, ['logs', '-n', '1'])).stdout).toMatch(/^\d\d:\d\d:\d\d {2}\w+ +\S.*\n$/);
    await weft(worker.home, ['logs', '-n', '0'], { code: 2 });
  });

  it('stop MODEL: its memory is free, and ps is empty', async () => {
    const runners = await worker.children();
    expect(await json(worker.home, 'stop', 'minilm')).toEqual({ id: MINILM, wasLoaded: true });
    expect((await weft(worker.home, ['stop', 'smollm2'])).stdout).toBe(`${CHAT} is unloaded.\n`);
    expect(await json(worker.home, 'stop', 'smollm2')).toEqual({ id: CHAT, wasLoaded: false });
    expect((await weft(worker.home, ['ps'])).stdout).toBe('');
    for (const pid of runners) await until(`runner ${pid} to be gone`, async () => !(await isAlive(pid)));
    await until('the edge to hear of it', async () => (await json(edge.home, 'ps')).elsewhere.length === 0);
  });
});

describe('looking after a node', () => {
  it("config: a change in the file is the running daemon's at once", async () => {
    const unknown = () => post(worker, '/v1/embeddings', { model: 'minilm', input: 'x', surprise: 1 });
    expect((await unknown()).status).toBe(400);
    expect((await weft(worker.home, ['config', 'set', 'lenient', 'true'])).stdout).toBe('lenient is true.\n');
    expect((await unknown()).status).toBe(200);
    expect(JSON.parse(await readFile(join(worker.home, 'settings.json'), 'utf8'))).toEqual({ lenient: true });
    expect((await weft(worker.home, ['config', 'get', 'lenient'])).stdout).toBe('true\n');
    const explained = (await weft(worker.home, ['config', '--explain'])).stdout;
    expect(explained).toMatch(/lenient +true +settings\.json +--lenient +WEFT_LENIENT +at once\n/);
    expect(explained).toMatch(/name +worker +environment WEFT_NAME /);
    await weft(worker.home, ['config', 'unset', 'lenient']);
    expect((await unknown()).status).toBe(400);
    expect((await weft(worker.home, ['config', 'set', 'keepAlive', 'soon'], { code: 3 })).stderr).toContain('duration');
    expect((await weft(worker.home, ['config', 'set', 'keepalife', '1m'], { code: 6 })).stderr).toContain(
      '"keepAlive"',
    );
  });

  it('doctor: 0 where nothing fails, 1 where something does, which it names', async () => {
    const { code, stdout } = await runWeft(['doctor', '--json'], { WEFT_HOME: edge.home });
    const { ok, from, checks } = JSON.parse(stdout);
    expect(from).toBe('daemon');
    expect(code).toBe(ok ? 0 : 1);
    expect(checks).toContainEqual(expect.objectContaining({ layer: 'peer', name: 'worker', status: 'ok' }));
    await writeFile(join(folder, 'settings.json'), '{ "keepAlive": "soon" }');
    const broken = await weft(folder, ['doctor'], { code: 1 });
    expect(broken.stdout).toMatch(/settings +✗ .*keepAlive/);
    await rm(join(folder, 'settings.json'));
  });

  it('bench --json: figures of both models, and who answered', async () => {
    const { embeddings, chat } = await json(edge.home, 'bench', 'minilm', '--seconds', '0.2');
    expect(chat).toBeUndefined();
    expect(embeddings).toMatchObject({ model: MINILM, runs: [{ in_flight: 1 }, { in_flight: 8 }] });
    for (const one of embeddings.runs) {
      expect(one).toMatchObject({ failed: 0, nodes: [worker.node] });
      expect(one.embeddings_per_second).toBeGreaterThan(0);
    }
  });

  it('completion: a script that its shell can read, with names from the daemon', async () => {
    const { stdout } = await weft(folder, ['completion', 'bash']);
    const checked = spawnSync('bash', ['-n'], { input: stdout });
    if (checked.error === undefined) expect(checked.status).toBe(0);
    for (const shell of ['zsh', 'fish']) expect((await weft(folder, ['completion', shell])).stdout).toContain('infer');
    await weft(folder, ['completion', 'csh'], { code: 2 });
  });

  it('key new: the old key is worthless at once, and commands go on', async () => {
    const old = edge.key;
    expect((await get(edge, '/api/v1/status', old)).status).toBe(200);
    const { stdout } = await weft(edge.home, ['key', 'new', '--show']);
    expect(stdout.trim()).not.toBe(old);
    expect((await get(edge, '/api/v1/status', old)).status).toBe(401);
    expect((await get(edge, '/api/v1/status', stdout.trim())).status).toBe(200);
    expect(await json(edge.home, 'status')).toMatchObject({ node: edge.node });
  });
});

describe('the end', () => {
  it('revoke: the connection ends, and the next request says that nobody is left', async () => {
    await weft(edge.home, ['revoke', 'worker'], { code: 8 }); // no admin
    expect((await weft(worker.home, ['revoke', 'edge', '--reason', 'sold'])).stdout).toMatch(
      /^Revoked edge \(….{8}\)\.\n$/,
    );
    await until('the connection to end', async () => (await json(edge.home, 'peers')).peers[0]?.state !== 'connected');
    const { stdout, stderr } = await weft(edge.home, run('4', QUESTION), { code: 7 });
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^weft: .*\n {2}do: {2}.*weft peers.*\n {2}id: {2}req_\w+\n$/);
    expect((await json(worker.home, 'peers')).peers).toEqual([]);
    expect((await json(worker.home, 'members')).members).toMatchObject([{ name: 'worker' }]);
    await weft(worker.home, ['revoke', 'edge'], { code: 6 });
    const doctor = await runWeft(['doctor'], { WEFT_HOME: edge.home });
    expect(doctor).toMatchObject({ code: 1, stdout: expect.stringContaining('revoked') });
  });

  it('stop: the daemon is gone when it returns; a second one has nothing to do', async () => {
    expect((await weft(edge.home, ['stop'])).stdout).toBe('Stopped.\n');
    await until('its process to have ended', () => edge.child.exitCode === 0);
    expect(await json(edge.home, 'stop')).toEqual({ wasRunning: false });
    expect((await weft(edge.home, ['stop'])).stderr).toContain('No daemon runs');
  });

  it('without a daemon every command says so, or does what it can', async () => {
    const asking = ['run m hi', 'embed m hi', 'infer m', 'list', 'show m', 'ps', 'stop m', 'rm m', 'peers', 'members'];
    const more = ['invite', 'revoke n', 'status', 'top', 'top --once', 'logs', 'logs -f', 'bench'];
    const results = await inTurn([...asking, ...more], (line) => weft(edge.home, line.split(' '), { code: 5 }));
    for (const { stdout, stderr } of results) {
      expect(stdout).toBe('');
      expect(stderr).toBe(
        `weft: No daemon runs with the data folder ${edge.home}.\n  do:  Start it with \`weft serve\`.\n`,
      );
    }
    expect((await weft(edge.home, ['config', 'set', 'keepAlive', '1m'])).stdout).toContain('from the next start');
    expect((await json(edge.home, 'config', 'get', 'keepAlive')).value).toBe('1m');
    await weft(edge.home, ['key', 'new']);
    await weft(edge.home, ['join', 'weft1nonsense'], { code: 2 });
    const doctor = await runWeft(['doctor', '--json'], { WEFT_HOME: edge.home });
    expect(JSON.parse(doctor.stdout).from).toBe('outside');
  });
});

const post = (daemon: Daemon, path: string, body: object): Promise<Response> =>
  fetch(`${daemon.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const get = (daemon: Daemon, path: string, key: string): Promise<Response> =>
  fetch(`${daemon.url}${path}`, { headers: { authorization: `Bearer ${key}` } });

/** One after the other: a process each. */
async function inTurn<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<CommandResult>,
): Promise<CommandResult[]> {
  const results: CommandResult[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

/** A .npy file as NumPy itself writes it: magic, version 1.0, a header padded to 64 bytes, the elements. */
function npyOf(descr: string, shape: string, elements: BigInt64Array): Buffer {
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, length & 255, length >> 8]);
  return Buffer.concat([start, Buffer.from(`${dictionary.padEnd(length - 1)}\n`), Buffer.from(elements.buffer)]);
}

/** The elements of a .npy file of 32-bit floats. */
function floatsOf(file: Buffer, shape: string): number[] {
  const length = file.readUInt16LE(8);
  expect(file.toString('latin1', 10, 10 + length)).toContain(
    `'descr': '<f4', 'fortran_order': False, 'shape': ${shape}`,
  );
  const data = file.subarray(10 + length);
  return Array.from({ length: data.length / 4 }, (_, at) => data.readFloatLE(4 * at));
}

function normalised(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

function expectClose(actual: readonly number[], wanted: readonly number[], most: number): void {
  expect(actual.length).toBe(wanted.length);
  expect(Math.max(...actual.map((value, at) => Math.abs(value - (wanted[at] ?? Number.NaN))))).toBeLessThan(most);
}
