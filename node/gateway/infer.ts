// POST /api/v1/infer: any graph of the mesh, by tensors in JSON.
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { type InferAnswer, InferRequest } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import { elementCount, type NamedTensor } from '../../protocol/tensor.ts';
import type { Coordinator, TensorAnswer } from '../core/coordinator.ts';
import type { Endpoint } from './exchange.ts';
import { type NameOf, placementHeaders, rounded } from './placement.ts';
import { hasJsonForm, readTensor, writeElements } from './tensor-json.ts';

export interface InferComponents {
  readonly coordinator: Coordinator;
  readonly nameOf: NameOf;
}

/** Elements of all outputs of one answer in JSON: some 20 MB of text. Larger answers come as base64. */
const JSON_ELEMENTS_MAX = 1 << 20;

/** Bytes of all outputs of one answer in base64: the logits of 300 tokens over a vocabulary of 50,000. */
const BASE64_BYTES_MAX = 64 << 20;

/** Elements, and bytes, that are written as text at a time: a few milliseconds, so that other answers go on between. */
const ELEMENTS_PER_SLICE = 16_384;
/** A multiple of three: base64 of the slices is base64 of the whole. */
const BYTES_PER_SLICE = 3 << 16;

/** The endpoint. */
export function infer({ coordinator, nameOf }: InferComponents): Endpoint {
  return {
    method: 'POST',
    url: '/api/v1/infer',
    traced: true,
    graph: true,
    async handle(exchange) {
      const { model, inputs, outputs = [], encoding = 'json' } = await exchange.readJson(InferRequest);
      const tensors = inputs.map((input, index) => readTensor(input, `inputs[${index}]`));
      checkNames(tensors.map(({ name }) => name));
      const answer = await coordinator.run({ model, inputs: tensors, outputs }, exchange);
      checkSize(answer.outputs, encoding);
      exchange.reply
        .headers(placementHeaders(answer.nodes.at(-1), nameOf))
        .header('content-type', 'application/json; charset=utf-8');
      return Readable.from(yielding(answerSlices(answer, encoding)), { objectMode: false });
    },
  };
}

function checkNames(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new WeftError({
    code: 'tensor_invalid',
    message: `The input "${twice}" is given twice.`,
    remedy: 'Send each input once.',
    facts: { param: 'inputs' },
  });
}

function checkSize(outputs: readonly NamedTensor[], encoding: 'json' | 'base64'): void {
  let elementsAsJson = 0;
  let bytesAsBase64 = 0;
  for (const output of outputs) {
    if (writtenAs(output, encoding) === 'json') elementsAsJson += elementCount(output.dims);
    else bytesAsBase64 += output.data.byteLength;
  }
  if (elementsAsJson <= JSON_ELEMENTS_MAX && bytesAsBase64 <= BASE64_BYTES_MAX) return;
  throw new WeftError({
    code: 'bad_request',
    message:
      elementsAsJson > JSON_ELEMENTS_MAX
        ? `The outputs have ${elementsAsJson} elements; an answer in JSON holds ${JSON_ELEMENTS_MAX}.`
        : `The outputs have ${bytesAsBase64} bytes; an answer holds ${BASE64_BYTES_MAX}.`,
    remedy: 'Ask for "encoding": "base64", or for fewer outputs.',
    facts: { param: 'outputs' },
  });
}

function writtenAs({ type }: NamedTensor, asked: 'json' | 'base64'): 'json' | 'base64' {
  if (type === 'string') return 'json';
  return hasJsonForm(type) ? asked : 'base64';
}

/** The answer as JSON text, in slices; they concatenate to one {@link InferAnswer}. */
function* answerSlices(answer: TensorAnswer, asked: 'json' | 'base64'): Generator<string> {
  yield '{"outputs":[';
  for (const [index, output] of answer.outputs.entries()) {
    const encoding = writtenAs(output, asked);
    const facts = { name: output.name, dtype: output.type, shape: [...output.dims], encoding };
    yield `${index === 0 ? '' : ','}${JSON.stringify(facts).slice(0, -1)},"data":`;
    yield* encoding === 'json' ? jsonSlices(output) : base64Slices(output);
    yield '}';
  }
  const { timing, nodes, plan } = answer;
  const rest: Omit<InferAnswer, 'outputs'> = {
    model: answer.model.id,
    timing: {
      queueMs: rounded(timing.queueMs),
      loadMs: rounded(timing.loadMs),
      computeMs: rounded(timing.computeMs),
      prefillMs: rounded(timing.prefillMs),
    },
    nodes: [...nodes],
    plan: { kind: plan.kind, predictedMs: rounded(plan.price.totalMs) },
  };
  yield `],${JSON.stringify(rest).slice(1)}`;
}

function* jsonSlices(output: NamedTensor): Generator<string> {
  let slice: unknown[] = [];
  let lead = '[';
  for (const element of writeElements(output)) {
    slice.push(element);
    if (slice.length < ELEMENTS_PER_SLICE) continue;
    yield lead + JSON.stringify(slice).slice(1, -1);
    lead = ',';
    slice = [];
  }
  yield `${slice.length > 0 || lead === '[' ? lead : ''}${JSON.stringify(slice).slice(1, -1)}]`;
}

function* base64Slices({ data }: NamedTensor): Generator<string> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  yield '"';
  for (let at = 0; at < bytes.byteLength; at += BYTES_PER_SLICE) {
    yield bytes.subarray(at, at + BYTES_PER_SLICE).toString('base64');
  }
  yield '"';
}

async function* yielding(slices: Iterable<string>): AsyncGenerator<string> {
  for (const slice of slices) {
    yield slice;
    if (slice.length > ELEMENTS_PER_SLICE) await setImmediate();
  }
}
