// `weft infer`, on the program's own command line, against a fake daemon that multiplies.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { InferRequest } from '../../../protocol/api/control.ts';
import { readNpy, writeNpy } from '../../../protocol/npy.ts';
import { runCommand } from './command-support.ts';
import { recordedContext, refuse, sendJson } from './fake-daemon.ts';

const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

const INSTALLED = {
  id: 'org/graph',
  inputs: [{ name: 'x', type: 'float32', dims: ['n'] }],
  outputs: [{ name: 'y', type: 'float32', dims: ['n'] }],
};
const ANSWER = {
  model: 'org/graph',
  outputs: [
    { name: 'y', dtype: 'float32', shape: [1, 2], encoding: 'base64', data: base64(floats(0.5, 2)) },
    { name: 'labels', dtype: 'string', shape: [2], encoding: 'json', data: ['a', 'b'] },
  ],
  timing: { queueMs: 0, loadMs: 0, computeMs: 1, prefillMs: 0 },
  nodes: ['n2'],
  plan: { kind: 'remote', predictedMs: 2 },
};

/** Runs a line; `asked` is what the daemon was sent. */
async function infer(args: readonly string[], { answer = ANSWER as object, installed = true } = {}) {
  const asked: InferRequest[] = [];
  const context = recordedContext();
  const { requests } = await runCommand(
    ['infer', 'graph', ...args],
    {
      'GET /api/v1/models/graph': (_body: unknown, response: ServerResponse) =>
        installed ? sendJson(response, INSTALLED) : refuse(response, 404, 'model_not_found', 'Not here.'),
      'POST /api/v1/infer': (body: unknown, response: ServerResponse) => {
        asked.push(body as InferRequest);
        sendJson(response, answer);
      },
    },
    context,
  );
  return { asked, context, requests };
}

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'weft-infer-'));
  return {
    in: (name: string) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

describe('weft infer', () => {
  it("takes JSON by the model's own types, and prints types and shapes", async () => {
    const { asked, context } = await infer(['--input', 'x=[1, 2]']);
    expect(asked).toEqual([
      {
        model: 'graph',
        inputs: [{ name: 'x', dtype: 'float32', shape: [2], data: base64(floats(1, 2)) }],
        encoding: 'base64',
      },
    ]);
    expect(context.out()).toBe('y  float32 [1, 2]\nlabels  string [2]\n');
    expect(context.err()).toMatch(/^server · /);
  });

  it('sees the types in the elements where the model is not installed here, and sends texts as JSON', async () => {
    const { asked } = await infer(['-i', 'x=[1, 2]', '-i', 'words=[["a"],["b"]]', '-i', 'e=[]'], { installed: false });
    expect(asked[0]?.inputs).toEqual([
      { name: 'x', dtype: 'int64', shape: [2], data: base64(new Uint8Array(new BigInt64Array([1n, 2n]).buffer)) },
      { name: 'words', dtype: 'string', shape: [2, 1], data: ['a', 'b'] },
      { name: 'e', dtype: 'float32', shape: [0], data: '' },
    ]);
  });

  it('reads .npy and .json files, and writes them', async () => {
    await using files = await folder();
    await writeFile(files.in('x.npy'), writeNpy({ type: 'float32', dims: [2], data: floats(1, 2) }));
    await writeFile(files.in('z.json'), '{"dtype": "int8", "data": [[-1]]}');
    const { asked, context } = await infer([
      ...['--input', `x=@${files.in('x.npy')}`, '--input', `z=@${files.in('z.json')}`],
      ...['--output', `y=@${files.in('y.npy')}`, '--output', `labels=@${files.in('labels.json')}`],
    ]);
    expect(asked[0]).toMatchObject({
      inputs: [
        { name: 'x', dtype: 'float32', shape: [2] },
        { name: 'z', dtype: 'int8', shape: [1, 1], data: '/w==' },
      ],
      outputs: ['y', 'labels'],
    });
    expect(readNpy(new Uint8Array(await readFile(files.in('y.npy'))))).toEqual({
      type: 'float32',
      dims: [1, 2],
      data: floats(0.5, 2),
    });
    expect(await readFile(files.in('labels.json'), 'utf8')).toBe('["a","b"]\n');
    expect(context.out()).toBe(
      `y  float32 [1, 2] → ${files.in('y.npy')}\nlabels  string [2] → ${files.in('labels.json')}\n`,
    );
  });

  it('prints an output alone to stdout where it is asked to', async () => {
    const { context } = await infer(['--input', 'x=[1]', '--output', 'y=-']);
    expect(context.out()).toBe('[[0.5,2]]\n');
    expect(context.err()).toContain('labels  string [2]');
  });

  it('prints everything as one object with --json', async () => {
    await using files = await folder();
    const { context } = await infer(['--json', '--input', 'x=[1]', '-o', `y=@${files.in('y.npy')}`, '-o', 'labels']);
    expect(JSON.parse(context.out())).toEqual({
      model: 'org/graph',
      nodes: ['n2'],
      total_ms: expect.any(Number),
      outputs: [
        { name: 'y', dtype: 'float32', shape: [1, 2], file: files.in('y.npy') },
        { name: 'labels', dtype: 'string', shape: [2], data: ['a', 'b'] },
      ],
    });
  });

  it.each<[string, readonly string[], string]>([
    ['an input without a name', ['--input', '[1]'], 'bad_request'],
    ['an input that is not JSON', ['--input', 'x=[1'], 'tensor_invalid'],
    ['an input whose elements the model does not take', ['--input', 'x=["a"]'], 'tensor_invalid'],
    ['a file that is not there', ['--input', 'x=@/no/such/file.npy'], 'bad_request'],
    ['an output to a file of no known kind', ['--input', 'x=[1]', '--output', 'y=@y.txt'], 'bad_request'],
    ['an output to a name without @', ['--input', 'x=[1]', '--output', 'y=y.npy'], 'bad_request'],
  ])('refuses %s, and asks nobody to work', async (_what, args, code) => {
    await expect(infer(args)).rejects.toMatchObject({ code });
  });

  it('names the input that is at fault', async () => {
    await expect(infer(['--input', 'x=["a"]'])).rejects.toThrow('The input "x": "a" is no float32.');
  });

  it('says when an output can not be written', async () => {
    const failed = infer(['--input', 'x=[1]', '--output', 'y=@/no/such/folder/y.npy']);
    await expect(failed).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('ENOENT') });
  });

  it('refuses an answer whose bytes are not those of its shape', async () => {
    const answer = { ...ANSWER, outputs: [{ ...ANSWER.outputs[0], shape: [3] }] };
    await expect(infer(['--input', 'x=[1]'], { answer })).rejects.toMatchObject({ code: 'tensor_invalid' });
  });

  it('reads pipes and devices, which have no size, up to the bound', async () => {
    await using files = await folder();
    const pipe = files.in('pipe');
    if (spawnSync('mkfifo', [pipe]).status !== 0) return;
    const writing = writeFile(pipe, '[3, 4]');
    const { asked } = await infer(['-i', `x=@${pipe}`]);
    await writing;
    expect(asked[0]?.inputs[0]).toMatchObject({ shape: [2], data: base64(floats(3, 4)) });
    await expect(infer(['-i', 'x=@/dev/zero'])).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('larger than a request may be'),
    });
  });

  it('points to the graph where tensors do not fit it', async () => {
    const remedy = expect.stringContaining('`weft show graph`');
    await expect(infer(['-i', 'x=["a"]'])).rejects.toMatchObject({ code: 'tensor_invalid', remedy });
  });
});
