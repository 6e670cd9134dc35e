// What a request must be before it costs anything: checked against the model's manifest, so that neither a runner nor
// the runtime sees ids or tensors that the graph can't take. Pure; called by the engine first of all.
import { fitsPort, type Manifest } from '../../models/manifest.ts';
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import { checkGeneration } from '../../protocol/generation.ts';
import type { EncodeRequest, GenerateRequest, RunRequest } from '../../protocol/infer.ts';
import { checkTensor, type NamedTensor } from '../../protocol/tensor.ts';
import { STOP_IDS_MAX, TEXTS_PER_REQUEST_MAX } from './limits.ts';

const refuse = (code: ErrorCode, message: string, param: string): WeftError =>
  new WeftError({ code, message, facts: { param } });

/** @throws WeftError `bad_request`, `context_too_long` */
export function checkEncode(request: EncodeRequest, manifest: Manifest): void {
  const { ids, lengths, pooling, firstLengths } = request;
  if (manifest.encoding === undefined) throw wrongTask(manifest, 'embeddings');
  if ((pooling === 'logits') !== (manifest.encoding.pooling === 'logits')) {
    throw wrongTask(manifest, pooling === 'logits' ? 'ranking' : 'embeddings');
  }
  if (lengths.length === 0) throw refuse('bad_request', 'There is no text to encode.', 'lengths');
  if (lengths.length > TEXTS_PER_REQUEST_MAX) {
    throw refuse('bad_request', `More than ${TEXTS_PER_REQUEST_MAX} texts in one request.`, 'lengths');
  }
  let sum = 0;
  for (const length of lengths) {
    if (length < 1) throw refuse('bad_request', 'A text without tokens.', 'lengths');
    if (length > manifest.contextLength) throw tooLong(length, manifest.contextLength);
    sum += length;
  }
  if (sum !== ids.length) {
    throw refuse('bad_request', `The lengths sum to ${sum}, but ${ids.length} ids came.`, 'lengths');
  }
  if (firstLengths !== undefined) {
    const within = firstLengths.every((first, text) => first >= 0 && first <= (lengths[text] as number));
    if (firstLengths.length !== lengths.length || !within) {
      throw refuse('bad_request', 'The first segments are not parts of their texts.', 'firstLengths');
    }
  }
  // The size of an encoder's vocabulary is in its graph only: ids beyond it are refused there.
  checkIds(ids, Number.POSITIVE_INFINITY, 'ids');
}

/** @throws WeftError `bad_request`, `context_too_long` */
export function checkGenerate(request: GenerateRequest, manifest: Manifest): void {
  const { ids, promptLength, maxNewTokens, stopIds, sampling } = request;
  if (manifest.generation === undefined) throw wrongTask(manifest, 'text');
  if (!Number.isInteger(promptLength) || promptLength < 1 || promptLength > ids.length) {
    throw refuse('bad_request', 'The prompt has no tokens.', 'promptLength');
  }
  // One token at least must fit behind the prompt. A stream that is resumed may have filled the context already.
  if (promptLength >= manifest.contextLength) throw tooLong(promptLength, manifest.contextLength - 1);
  if (ids.length > manifest.contextLength) throw tooLong(ids.length, manifest.contextLength);
  checkIds(ids, manifest.generation.vocabularySize, 'ids');
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 0) {
    throw refuse('bad_request', 'The number of new tokens is not a whole number of 0 or more.', 'maxNewTokens');
  }
  if (stopIds.length > STOP_IDS_MAX) throw refuse('bad_request', `More than ${STOP_IDS_MAX} stop ids.`, 'stopIds');
  checkGeneration(request);
  checkFeatures(request, manifest);
  const biased = (sampling.logitBias ?? []).map(({ id }) => id);
  checkIds(biased, manifest.generation.vocabularySize, 'logitBias');
}

/** A speech model needs a sound, in the one shape that its encoder takes; any other model takes none. */
function checkFeatures({ features, constraint }: GenerateRequest, { id, speech }: Manifest): void {
  if (speech === undefined) {
    if (features !== undefined) throw refuse('bad_request', `${id} listens to no sound.`, 'features');
    return;
  }
  if (constraint !== undefined)
    throw refuse('unsupported', `${id} writes what it hears, in no other form.`, 'constraint');
  const wanted = [1, speech.melBins, speech.frames];
  if (features === undefined) throw refuse('bad_request', `${id} needs a sound to listen to.`, 'features');
  if (features.type !== 'float32' || !fitsPort(features.dims, wanted)) {
    const { type, dims } = features;
    throw refuse(
      'tensor_invalid',
      `${id} takes features float32 [${wanted.join(', ')}], but ${type} [${dims.join(', ')}] came.`,
      'features',
    );
  }
  checkTensor(features);
}

/** @throws WeftError `tensor_invalid`, `bad_request` */
export function checkRun(request: RunRequest, manifest: Manifest): void {
  const given = new Map<string, NamedTensor>();
  for (const tensor of request.inputs) {
    if (given.has(tensor.name)) throw invalid(`"${tensor.name}" came twice.`);
    given.set(tensor.name, tensor);
  }
  for (const port of manifest.inputs) {
    const tensor = given.get(port.name);
    if (tensor === undefined) throw invalid(`The input "${port.name}" is missing.`);
    given.delete(port.name);
    if (tensor.type !== port.type) throw invalid(`"${port.name}" takes ${port.type}, but ${tensor.type} came.`);
    if (!fitsPort(tensor.dims, port.dims))
      throw invalid(`"${port.name}" takes [${port.dims.join(', ')}], but [${tensor.dims.join(', ')}] came.`);
    checkTensor(tensor);
  }
  const [unknown] = given.keys();
  if (unknown !== undefined) throw invalid(`The model takes no input of the name "${unknown.slice(0, 100)}".`);
  const outputs = new Set(request.outputs);
  if (outputs.size !== request.outputs.length) throw refuse('bad_request', 'An output is named twice.', 'outputs');
  for (const { name } of manifest.outputs) outputs.delete(name);
  const [missing] = outputs;
  if (missing !== undefined) {
    throw refuse('bad_request', `The model has no output of the name "${missing.slice(0, 100)}".`, 'outputs');
  }
}

function checkIds(ids: Iterable<number>, vocabularySize: number, param: string): void {
  for (const id of ids) {
    if (id < 0 || id >= vocabularySize) throw refuse('bad_request', `Token id ${id} is not in the vocabulary.`, param);
  }
}

const invalid = (message: string): WeftError => refuse('tensor_invalid', message, 'inputs');

function tooLong(tokens: number, max: number): WeftError {
  return new WeftError({
    code: 'context_too_long',
    message: `${tokens} tokens are more than the ${max} that the model takes.`,
    facts: { tokens: String(tokens), limit: String(max) },
  });
}

function wrongTask(manifest: Manifest, what: string): WeftError {
  return refuse('bad_request', `${manifest.id} is a model for ${manifest.task}: it gives no ${what}.`, 'model');
}
