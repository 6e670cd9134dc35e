// What a server gets: `npm pack`'s tarball, installed in an empty folder without development dependencies, pruned, and
// used. Where neither a registry nor npm's cache has the dependencies, it skips itself and says so.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive, until } from '../support/wait.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Bytes: what it takes now, and a tenth more. The bundled models are 134 MB of the package, at any compression. */
const TARBALL_BYTES_MAX = 130e6;
const UNPACKED_BYTES_MAX = 165e6;
/** With ONNX Runtime for every system and the packaged Node. */
const INSTALLED_BYTES_MAX = 830e6;
/** After `weft service prune`: on Linux x64, where it frees 255 MB. */
const PRUNED_BYTES_MAX = 560e6;

let folder: string;
let tarball: Packed;
/** Why nothing could be installed here. */
let unavailable: string | undefined;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process to its end; npm's own variables are left out, so that the npm inside is one that a person starts. */
async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const child = start(command, args, env);
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
  ]);
  return { code, stdout, stderr };
}

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const outer = Object.entries(process.env).filter(
    ([name]) =>
      !/^(WEFT_|VITEST|NODE_OPTIONS$|npm_(package|lifecycle|command|config_(local_prefix|global_prefix|onnx)))/i.test(
        name,
      ),
  );
  return spawn(command, args, {
    cwd: folder,
    env: { ...Object.fromEntries(outer), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32' && command === 'npm',
  });
}

/** Bytes of all files below a folder. */
async function sizeOf(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

const installed = (...names: readonly string[]): string => join(folder, 'node_modules', ...names);
const bin = (): string => installed('@weft-mesh', 'weft', 'bin', 'weft.js');

/** The installed program. */
const weft = (args: readonly string[], home: string): Promise<Result> =>
  run(process.execPath, [bin(), ...args], { WEFT_HOME: join(folder, home) });

const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|EHOSTUNREACH/;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-package-'));
  // dist/ is built: packing must not replace it under the feet of other tests.
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder, ROOT]);
  expect(packed.code, packed.stderr).toBe(0);
  const listed = JSON.parse(packed.stdout) as Packed[] | Record<string, Packed>;
  tarball = Object.values(listed)[0] as Packed;
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  const args = ['install', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const result = await run('npm', [...args, '--fetch-retries=0', `./${tarball.filename.replace(/^.*\//, '')}`]);
  if (result.code !== 0 && OFFLINE.test(result.stderr))
    unavailable = 'neither a registry nor the cache has the packages';
  else expect(result.code, result.stderr).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));

describe('the tarball', () => {
  it('holds the program and its models, and is bounded', () => {
    const weights = tarball.files.filter(({ path }) => path.startsWith('models/bundled/'));
    const maps = tarball.files.filter(({ path }) => path.endsWith('.map'));
    const sum = (files: readonly { readonly size: number }[]) => files.reduce((total, { size }) => total + size, 0);
    console.log(
      `tarball ${megabytes(tarball.size)}, unpacked ${megabytes(tarball.unpackedSize)}: ` +
        `models ${megabytes(sum(weights))}, source maps ${megabytes(sum(maps))}`,
    );
    expect(tarball.size).toBeLessThan(TARBALL_BYTES_MAX);
    expect(tarball.unpackedSize).toBeLessThan(UNPACKED_BYTES_MAX);
    expect(tarball.files.filter(({ path }) => /\.tsx?$|^(test|node|desktop|docs)\//.test(path))).toEqual([]);
    for (const needed of ['bin/weft.js', 'dist/cli.js', 'dist/runner.js', 'dist/prep.js', 'LICENSE']) {
      expect(tarball.files.map(({ path }) => path)).toContain(needed);
    }
  });
});

describe('an installation from the tarball', () => {
  it('has no Electron, no React, no build tools, and is bounded', async ({ skip }) => {
    if (unavailable) skip(unavailable);
    const packages = await readdir(installed());
    for (const tool of [
      'electron',
      'react',
      'react-dom',
      'vite',
      'vitest',
      'typescript',
      'rolldown',
      '@biomejs',
      'openai',
    ]) {
      expect(packages).not.toContain(tool);
    }
    const before = await sizeOf(installed());
    expect(before).toBeLessThan(INSTALLED_BYTES_MAX);
    const planned = await weft(['service', 'prune', '--dry-run', '--json'], 'none');
    const pruned = await weft(['service', 'prune', '--json'], 'none');
    expect(pruned.code, pruned.stderr).toBe(0);
    const { freedBytes, platforms } = JSON.parse(pruned.stdout) as { freedBytes: number; platforms: string[] };
    expect(JSON.parse(planned.stdout)).toMatchObject({ freedBytes, platforms });
    const after = await sizeOf(installed());
    console.log(
      `installed ${megabytes(before)}, after weft service prune ${megabytes(after)} (without ${platforms.join(', ')}); ` +
        `of that the package ${megabytes(await sizeOf(installed('@weft-mesh')))}, ` +
        `ONNX Runtime ${megabytes(await sizeOf(installed('onnxruntime-node')))}`,
    );
    expect(before - after).toBe(freedBytes);
    expect(after).toBeLessThan(PRUNED_BYTES_MAX);
    const binaries = await readdir(installed('onnxruntime-node', 'bin'), { recursive: true });
    expect(binaries.filter((name) => name.endsWith('.node'))).toEqual([
      expect.stringContaining(join(process.platform, process.arch)),
    ]);
  });

  it('runs by npx', async ({ skip }) => {
    if (unavailable) skip(unavailable);
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const { code, stdout, stderr } = await run('npm', ['exec', '--offline', '--', 'weft', '--version']);
    expect(code, stderr).toBe(0);
    expect(stdout.trim()).toBe(version);
  });

  it('answers an embedding, a chat, and a chat that is bound to a schema', async ({ skip }) => {
    if (unavailable) skip(unavailable);
    await using daemon = await serve([process.execPath], 'home');
    const schema = {
      type: 'object',
      properties: { capital: { type: 'string', maxLength: 12 } },
      required: ['capital'],
      additionalProperties: false,
    };
    const messages = [{ role: 'user', content: 'Name the capital of France.' }];
    const chat = { model: 'smollm2', messages, temperature: 0, max_tokens: 24 };
    const [embedded, answered, bound] = await Promise.all([
      daemon.post('/v1/embeddings', { model: 'minilm', input: 'Hello world!' }),
      daemon.post('/v1/chat/completions', chat),
      daemon.post('/v1/chat/completions', {
        ...chat,
        response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
      }),
    ]);
    expect(embedded).toMatchObject({ data: [{ embedding: { length: 384 } }] });
    expect(answered).toMatchObject({ choices: [{ message: { content: expect.stringContaining('Paris') } }] });
    const [choice] = (bound as { choices: { message: { content: string } }[] }).choices;
    expect(JSON.parse(choice?.message.content ?? '')).toEqual({ capital: expect.any(String) });
  });
});

/** New process namespaces need rights that a container may not give. */
const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const CAN_BE_FIRST = process.platform === 'linux' && spawnSync('unshare', [...UNSHARE, 'true']).status === 0;

describe.skipIf(!CAN_BE_FIRST)('an installation as process 1 of a container', () => {
  it('reaps its children, and ends within its time at SIGTERM, all of them with it', async ({ skip }) => {
    if (unavailable) skip(unavailable);
    await using daemon = await serve(['unshare', ...UNSHARE, process.execPath], 'first');
    const weftPid = (await childrenOf(daemon.child.pid as number)).at(0)?.pid;
    if (weftPid === undefined) throw new Error('unshare has no child');
    expect(await readFile(`/proc/${weftPid}/status`, 'utf8')).toMatch(/^NSpid:\t\d+\t1$/m);
    await daemon.post('/v1/embeddings', { model: 'minilm', input: 'Hello world!' });
    const children = await childrenOf(weftPid);
    expect(children.length).toBeGreaterThan(0);
    // Whoever dies is reaped, or it would stay as a zombie for as long as the container.
    for (const { pid } of children) process.kill(pid, 'SIGKILL');
    for (const { pid } of children) await until(`${pid} to be reaped`, async () => !(await exists(pid)));
    await daemon.post('/v1/embeddings', { model: 'minilm', input: 'Hello again!' });
    const successors = await childrenOf(weftPid);
    expect(successors.filter(({ state }) => state === 'Z')).toEqual([]);
    const startedMs = performance.now();
    process.kill(weftPid, 'SIGTERM');
    await until('it to end', () => daemon.child.exitCode !== null);
    console.log(`process 1 ended ${Math.round(performance.now() - startedMs)} ms after SIGTERM`);
    expect(daemon.child.exitCode).toBe(0);
    for (const { pid } of successors) expect(await isAlive(pid)).toBe(false);
  });
});

interface ServingDaemon extends AsyncDisposable {
  readonly child: ChildProcess;
  post(path: string, body: object): Promise<unknown>;
}

/** `weft serve` of the installed package, until the end of the block. @param prefix what starts it */
async function serve(prefix: readonly string[], home: string): Promise<ServingDaemon> {
  const [command = '', ...args] = prefix;
  const env = {
    WEFT_HOME: join(folder, home),
    WEFT_HOST: '127.0.0.1:0',
    WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0',
    WEFT_MDNS: 'false',
  };
  const child = start(command, [...args, bin(), 'serve'], env);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (piece: string) => {
      output += piece;
    });
  }
  const url = await until('the API', () => {
    if (child.exitCode !== null) throw new Error(output);
    return / API +(http:\S+)\/v1\n/.exec(output)?.[1];
  });
  const key = (await readFile(join(folder, home, 'api-key'), 'utf8')).trim();
  return {
    child,
    async post(path, body) {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      const answer: unknown = await response.json();
      expect(response.status, `${path}: ${JSON.stringify(answer)}`).toBe(200);
      return answer;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill(prefix.length > 1 ? 'SIGKILL' : 'SIGTERM');
      await ended;
    },
  };
}

interface ChildRow {
  readonly pid: number;
  readonly state: string;
}

async function childrenOf(parent: number): Promise<ChildRow[]> {
  const listed = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8');
  const pids = listed.trim().split(' ').filter(Boolean).map(Number);
  return Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
      return { pid, state: status.slice(status.lastIndexOf(')') + 2).charAt(0) };
    }),
  );
}

/** A zombie exists. */
const exists = (pid: number): Promise<boolean> =>
  stat(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
