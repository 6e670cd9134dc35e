// `weft infer MODEL`: any graph, by tensors from files or the command line, to files or the terminal.
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { InferAnswer, InferRequest } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { checkTensor, DataType, type DataTypeName, type NamedTensor, type Tensor } from '../../../protocol/tensor.ts';
import { systemCode } from '../../config/files.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import type { CommandContext, ReadingOptions } from '../context.ts';
import { formatMs, printable } from '../format.ts';
import { readInputFile } from '../input-file.ts';
import { ANSWER_MS_MAX, TENSOR_FILE_BYTES_MAX } from '../limits.ts';
import { installedModel } from '../model-facts.ts';
import { nameNodes } from '../node-names.ts';
import { isNpy, readNpy, writeNpy } from '../npy.ts';
import { readingOptions } from '../reading-command.ts';
import { dimLine } from '../style.ts';
import { formatTensor, parseTensor } from '../tensor-json.ts';

interface Options extends ReadingOptions {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
}

/** `NAME=VALUE`, taken apart at the first `=`. */
interface Assignment {
  readonly name: string;
  readonly value: string;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<model>', 'short name or hub id; `weft show MODEL` lists its inputs and outputs')
    .option(
      '-i, --input <name=value>',
      'a tensor: @file.npy, @file.json, or JSON such as [[1, 2]]; repeatable',
      gathered,
    )
    .option(
      '-o, --output <name=@file>',
      'write an output to file.npy or file.json; name=- prints it; repeatable',
      gathered,
    )
    .addHelpText(
      'after',
      '\nWithout --output, types and shapes of all outputs are printed; with --json their elements.',
    )
    .action((model: string, options: Options) => infer(model, options, context).catch(advise(model)));
}

/** What doesn't fit the graph is best seen beside it. */
const advise = (model: string) => (error: unknown) => {
  if (!(error instanceof WeftError) || error.code !== 'tensor_invalid') throw error;
  const { code, message, facts } = error;
  const remedy = `Compare with \`weft show ${model}\`: it lists inputs and outputs with their types and shapes.`;
  throw new WeftError({ code, message, remedy, facts }, { cause: error.cause });
};

const gathered = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, text];

async function infer(model: string, options: Options, context: CommandContext): Promise<void> {
  const { stdout, stderr, signal } = context;
  const targets = (options.output ?? []).map((text) => target(text));
  const { client } = await connect(context, options);
  const inputs = await readInputs(client, model, options.input ?? [], signal);
  const startedAt = performance.now();
  const { body } = await client.post<InferAnswer>('/api/v1/infer', requestOf(model, inputs, targets), {
    signal,
    timeoutMs: ANSWER_MS_MAX,
  });
  const totalMs = performance.now() - startedAt;
  const outputs = body.outputs.map(tensorOf);
  const files = await writeFiles(outputs, targets);
  if (options.json) {
    // By hand: the elements are JSON already, and exact.
    const head = JSON.stringify({ model: body.model, nodes: body.nodes, total_ms: Math.round(totalMs * 100) / 100 });
    const tensors = outputs.map((tensor) => jsonOf(tensor, files.get(tensor.name)));
    return void stdout.write(`${head.slice(0, -1)},"outputs":[${tensors.join(',')}]}\n`);
  }
  const shown = targets.filter(({ value }) => value === '-').map(({ name }) => name);
  for (const tensor of outputs) {
    const file = files.get(tensor.name);
    if (shown.includes(tensor.name)) stdout.write(`${formatTensor(tensor)}\n`);
    // What is printed can be read by a program: then everything else goes beside it.
    else (shown.length === 0 ? stdout : stderr).write(`${describe(tensor)}${file === undefined ? '' : ` → ${file}`}\n`);
  }
  stderr.write(dimLine(stderr, `${await nameNodes(client, body.nodes, { signal })} · ${formatMs(totalMs)}`));
}

function requestOf(model: string, inputs: readonly NamedTensor[], targets: readonly Assignment[]): InferRequest {
  return {
    model,
    inputs: inputs.map((tensor) => ({
      name: tensor.name,
      dtype: tensor.type,
      shape: [...tensor.dims],
      data:
        tensor.type === 'string'
          ? (JSON.parse(formatTensor({ ...tensor, dims: [tensor.dims.reduce((a, b) => a * b, 1)] })) as string[])
          : Buffer.from(tensor.data).toString('base64'),
    })),
    ...(targets.length === 0 ? {} : { outputs: targets.map(({ name }) => name) }),
    encoding: 'base64',
  };
}

/** @throws WeftError `bad_request` or `tensor_invalid`, with the input's name */
async function readInputs(
  client: Client,
  model: string,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<NamedTensor[]> {
  // Types of JSON inputs are the graph's; of a model that is not installed here they are not known.
  const ports = (await installedModel(client, model, { signal }))?.inputs ?? [];
  const inputs: NamedTensor[] = [];
  for (const { name, value } of texts.map((text) => assignment(text, '--input'))) {
    const asked = ports.find((port) => port.name === name)?.type;
    const type = asked !== undefined && isType(asked) ? asked : undefined;
    const tensor = await readTensor(name, value, { type, signal });
    inputs.push({ name, ...tensor });
  }
  return inputs;
}

const isType = (type: string): type is DataTypeName => Object.hasOwn(DataType, type);

async function readTensor(
  name: string,
  value: string,
  { type, signal }: { readonly type: DataTypeName | undefined; readonly signal: AbortSignal },
): Promise<Tensor> {
  try {
    if (!value.startsWith('@')) return parseTensor(value, type);
    const bytes = await readBytes(value.slice(1), signal);
    return isNpy(bytes) ? readNpy(bytes) : parseTensor(new TextDecoder().decode(bytes), type);
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    const { code, message, remedy } = error;
    throw new WeftError({ code, message: `The input "${name}": ${message}`, remedy }, { cause: error });
  }
}

async function readBytes(path: string, signal: AbortSignal): Promise<Uint8Array> {
  let bytes: Buffer | undefined;
  try {
    bytes = await readInputFile(path, TENSOR_FILE_BYTES_MAX, { signal });
  } catch (error) {
    if (signal.aborted) throw new WeftError({ code: 'cancelled', message: 'Ended while reading a file.' });
    throw notRead(`The file ${path} can't be read (${systemCode(error) ?? 'unknown error'}).`, error);
  }
  if (bytes !== undefined) return new Uint8Array(bytes);
  throw notRead(`The file ${path} is larger than a request may be.`);
}

function notRead(message: string, cause?: unknown): WeftError {
  return new WeftError({ code: 'bad_request', message, remedy: 'Name a file with one tensor in it.' }, { cause });
}

function assignment(text: string, option: string): Assignment {
  const at = text.indexOf('=');
  if (at > 0) return { name: text.slice(0, at), value: text.slice(at + 1) };
  throw new WeftError({
    code: 'bad_request',
    message: `${option} ${text} names no tensor.`,
    remedy: `Write ${option} NAME=${option === '--input' ? '@file.npy' : '@file.npy or NAME=-'}.`,
  });
}

/** Where an output goes: checked before the work is done. */
function target(text: string): Assignment {
  const { name, value } = text.includes('=') ? assignment(text, '--output') : { name: text, value: '-' };
  if (value === '-' || /^@.*\.(npy|json)$/i.test(value)) return { name, value };
  throw new WeftError({
    code: 'bad_request',
    message: `--output ${text} is neither a .npy nor a .json file.`,
    remedy: `Write --output ${name}=@file.npy, ${name}=@file.json, or ${name}=-.`,
  });
}

/** @throws WeftError `tensor_invalid` for an answer whose bytes don't fit its shape */
function tensorOf({ name, dtype, shape, data, encoding }: InferAnswer['outputs'][number]): NamedTensor {
  const json = encoding === 'json' || typeof data !== 'string';
  const tensor = json
    ? parseTensor(JSON.stringify({ dtype, shape, data }), dtype)
    : { type: dtype, dims: shape, data: new Uint8Array(Buffer.from(data, 'base64')) };
  checkTensor(tensor);
  return { name, ...tensor };
}

/** @returns the file of each output that has one */
async function writeFiles(
  outputs: readonly NamedTensor[],
  targets: readonly Assignment[],
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const { name, value } of targets) {
    const tensor = outputs.find((output) => output.name === name);
    if (value === '-' || tensor === undefined) continue;
    const path = value.slice(1);
    const content = /\.npy$/i.test(path) ? writeNpy(tensor) : `${formatTensor(tensor)}\n`;
    try {
      await writeFile(path, content);
    } catch (error) {
      const message = `The file ${path} can't be written (${systemCode(error) ?? 'unknown error'}).`;
      throw new WeftError(
        { code: 'bad_request', message, remedy: 'Name a file in a folder of yours.' },
        { cause: error },
      );
    }
    files.set(name, path);
  }
  return files;
}

function jsonOf(tensor: NamedTensor, file: string | undefined): string {
  const head = JSON.stringify({ name: tensor.name, dtype: tensor.type, shape: tensor.dims });
  const rest = file === undefined ? `"data":${formatTensor(tensor)}` : `"file":${JSON.stringify(file)}`;
  return `${head.slice(0, -1)},${rest}}`;
}

/** `embeddings  float32 [1, 384]` */
function describe({ name, type, dims }: NamedTensor): string {
  return `${printable(name)}  ${type} [${dims.join(', ')}]`;
}
