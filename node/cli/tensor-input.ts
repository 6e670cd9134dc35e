// Tensors as a person names them on a command line: `NAME=@file.npy`, `NAME=@file.json`, or JSON as it stands. Used by
// `weft infer` and `weft plan`.
import type { ModelAnswer } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import { isNpy, readNpy } from '../../protocol/npy.ts';
import { DataType, type DataTypeName, type NamedTensor, type Tensor } from '../../protocol/tensor.ts';
import type { Client } from './client.ts';
import { readFileForRequest } from './input-file.ts';
import { TENSOR_FILE_BYTES_MAX } from './limits.ts';
import { installedModel } from './model-facts.ts';
import { parseTensor } from './tensor-json.ts';

/** `NAME=VALUE`, taken apart at the first `=`. */
export interface Assignment {
  readonly name: string;
  readonly value: string;
}

/**
 * The tensors of `NAME=VALUE` texts, read from files or from the texts themselves.
 * @throws WeftError `bad_request` or `tensor_invalid`, with the input's name
 */
export async function readTensors(
  client: Client,
  model: string,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<NamedTensor[]> {
  // Types of JSON inputs are the graph's; of a model that is not installed here they are not known.
  const ports = await inputPorts(client, model, signal);
  const inputs: NamedTensor[] = [];
  for (const { name, value } of texts.map((text) => assignment(text, '--input', '@file.npy'))) {
    const tensor = await readTensor(name, value, { type: portType(ports, name), signal });
    inputs.push({ name, ...tensor });
  }
  return inputs;
}

/** Inputs of the graph; empty where the model is not installed here. @throws WeftError what {@link Client} throws */
export async function inputPorts(client: Client, model: string, signal: AbortSignal): Promise<ModelAnswer['inputs']> {
  return (await installedModel(client, model, { signal }))?.inputs ?? [];
}

/** What an input takes, where that is known. */
export function portType(ports: ModelAnswer['inputs'], name: string): DataTypeName | undefined {
  const type = ports.find((port) => port.name === name)?.type;
  return type !== undefined && isType(type) ? type : undefined;
}

export const isType = (type: string): type is DataTypeName => Object.hasOwn(DataType, type);

async function readTensor(
  name: string,
  value: string,
  { type, signal }: { readonly type: DataTypeName | undefined; readonly signal: AbortSignal },
): Promise<Tensor> {
  try {
    if (!value.startsWith('@')) return parseTensor(value, type);
    const bytes = new Uint8Array(
      await readFileForRequest(value.slice(1), {
        bytesMax: TENSOR_FILE_BYTES_MAX,
        signal,
        remedy: 'Name a file with one tensor in it.',
      }),
    );
    return isNpy(bytes) ? readNpy(bytes) : parseTensor(new TextDecoder().decode(bytes), type);
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    const { code, message, remedy } = error;
    throw new WeftError({ code, message: `The input "${name}": ${message}`, remedy }, { cause: error });
  }
}

/** For a catch: what doesn't fit the graph is best seen beside it. Rethrows every error. */
export const adviseInputs =
  (model: string) =>
  (error: unknown): never => {
    if (!(error instanceof WeftError) || error.code !== 'tensor_invalid') throw error;
    const { code, message, facts } = error;
    const remedy = `Compare with \`weft show ${model}\`: it lists inputs and outputs with their types and shapes.`;
    throw new WeftError({ code, message, remedy, facts }, { cause: error.cause });
  };

/** @param example of what may stand behind the name */
export function assignment(text: string, option: string, example: string): Assignment {
  const at = text.indexOf('=');
  if (at > 0) return { name: text.slice(0, at), value: text.slice(at + 1) };
  throw new WeftError({
    code: 'bad_request',
    message: `${option} ${text} names no tensor.`,
    remedy: `Write ${option} NAME=${example}.`,
  });
}
