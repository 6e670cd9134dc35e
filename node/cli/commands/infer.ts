// `weft infer MODEL`: any graph, by tensors from files or the command line, to files or the terminal.
import type { Command } from 'commander';
import type { InferAnswer, InferRequest } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { writeNpy } from '../../../protocol/npy.ts';
import { checkTensor, type NamedTensor } from '../../../protocol/tensor.ts';
import { connect } from '../connect.ts';
import type { CommandContext, ReadingOptions } from '../context.ts';
import { formatMs, printable } from '../format.ts';
import { ANSWER_MS_MAX } from '../limits.ts';
import { type LocalityOptions, localityHeaders, localityOptions } from '../locality-options.ts';
import { nameNodes } from '../node-names.ts';
import { gathered } from '../option-values.ts';
import { writeOrRefuse } from '../output-file.ts';
import { readingOptions } from '../reading-command.ts';
import { dimLine } from '../style.ts';
import { type Assignment, adviseInputs, assignment, readTensors } from '../tensor-input.ts';
import { formatTensor, parseTensor } from '../tensor-json.ts';
import { type UrgencyOptions, urgencyHeaders, urgencyOptions } from '../urgency-options.ts';

interface Options extends ReadingOptions, UrgencyOptions, LocalityOptions {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
}

export function define(command: Command, context: CommandContext): void {
  localityOptions(urgencyOptions(readingOptions(command)))
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
    .action((model: string, options: Options) => infer(model, options, context).catch(adviseInputs(model)));
}

async function infer(model: string, options: Options, context: CommandContext): Promise<void> {
  const { stdout, stderr, signal } = context;
  const targets = (options.output ?? []).map((text) => target(text));
  const { client } = await connect(context, options);
  const inputs = await readTensors(client, model, options.input ?? [], signal);
  const startedAt = performance.now();
  const { body } = await client.post<InferAnswer>('/api/v1/infer', requestOf(model, inputs, targets), {
    signal,
    timeoutMs: ANSWER_MS_MAX,
    headers: { ...urgencyHeaders(options), ...localityHeaders(options) },
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

/** The body of a request. @param targets outputs that are wanted; none = all */
export function requestOf(
  model: string,
  inputs: readonly NamedTensor[],
  targets: readonly Pick<Assignment, 'name'>[],
): InferRequest {
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

/** Where an output goes: checked before the work is done. */
function target(text: string): Assignment {
  const { name, value } = text.includes('=')
    ? assignment(text, '--output', '@file.npy or NAME=-')
    : { name: text, value: '-' };
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
    await writeOrRefuse(path, content);
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
