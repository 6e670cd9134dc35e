// What may be said in a request for text beside the text itself: settings of the draw, the form of the answer, reports.
// Pure checks, made by the codec at both ends of a wire and by the engine before any work.
import { WeftError } from './errors.ts';
import type { Constraint, GenerateRequest, Sampling } from './infer.ts';
import {
  CONSTRAINT_BYTES_MAX,
  LOGIT_BIAS_ABS_MAX,
  LOGIT_BIAS_MAX,
  PENALTY_ABS_MAX,
  REPETITION_PENALTY_MAX,
  REPETITION_PENALTY_MIN,
  SCHEMA_BYTES_MAX,
  TOOL_NAME_LENGTH_MAX,
  TOOLS_MAX,
  TOP_K_MAX,
  TOP_LOGPROBS_MAX,
} from './limits.ts';

const SEED_MAX = (1n << 64n) - 1n;
const TEMPERATURE_MAX = 100;
const TOOL_NAME = new RegExp(`^[a-zA-Z0-9_-]{1,${TOOL_NAME_LENGTH_MAX}}$`);

const encoder = new TextEncoder();

const refuse = (message: string, param: string): WeftError =>
  new WeftError({ code: 'bad_request', message, facts: { param } });

/**
 * Checks what doesn't depend on the model.
 * @throws WeftError `bad_request` with the field's name as the fact `param`
 */
export function checkGeneration(request: Pick<GenerateRequest, 'sampling' | 'constraint' | 'logprobs'>): void {
  const { sampling, constraint, logprobs } = request;
  checkSampling(sampling);
  if (constraint !== undefined) checkConstraint(constraint);
  if (logprobs !== undefined && !(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= TOP_LOGPROBS_MAX)) {
    throw refuse(`Not a whole number from 0 to ${TOP_LOGPROBS_MAX}.`, 'logprobs');
  }
}

function checkSampling(sampling: Sampling): void {
  const { temperature, topP, topK, seed, logitBias = [] } = sampling;
  within('temperature', temperature, 0, TEMPERATURE_MAX);
  if (!(topP > 0 && topP <= 1)) throw refuse('Out of range: above 0, up to 1.', 'topP');
  if (!Number.isInteger(topK)) throw refuse('Not a whole number.', 'topK');
  within('topK', topK, 0, TOP_K_MAX);
  if (seed < 0n || seed > SEED_MAX) throw refuse('Not a number of 64 bits.', 'seed');
  within('minP', sampling.minP ?? 0, 0, 1);
  within('repetitionPenalty', sampling.repetitionPenalty ?? 1, REPETITION_PENALTY_MIN, REPETITION_PENALTY_MAX);
  within('presencePenalty', sampling.presencePenalty ?? 0, -PENALTY_ABS_MAX, PENALTY_ABS_MAX);
  within('frequencyPenalty', sampling.frequencyPenalty ?? 0, -PENALTY_ABS_MAX, PENALTY_ABS_MAX);
  if (logitBias.length > LOGIT_BIAS_MAX) throw refuse(`More than ${LOGIT_BIAS_MAX} tokens.`, 'logitBias');
  for (const { id, bias } of logitBias) {
    if (!Number.isInteger(id) || id < 0) throw refuse(`${id} is not a token id.`, 'logitBias');
    within('logitBias', bias, -LOGIT_BIAS_ABS_MAX, LOGIT_BIAS_ABS_MAX);
  }
  const ids = new Set(logitBias.map(({ id }) => id));
  if (ids.size !== logitBias.length) throw refuse('A token has two biases.', 'logitBias');
}

function within(param: keyof Sampling, value: number, min: number, max: number): void {
  // NaN is in no range.
  if (!(value >= min && value <= max)) throw refuse(`Out of range: ${min} to ${max}.`, param);
}

function checkConstraint(constraint: Constraint): void {
  if (constraint.kind === 'json_object') return;
  if (constraint.kind === 'json_schema') {
    schemaBytes(constraint.schema);
    return;
  }
  const { tools } = constraint;
  if (tools.length === 0) throw refuse('There is no tool to call.', 'tools');
  if (tools.length > TOOLS_MAX) throw refuse(`More than ${TOOLS_MAX} tools.`, 'tools');
  let bytes = 0;
  for (const { name, schema } of tools) {
    if (!TOOL_NAME.test(name)) {
      throw refuse(`A tool's name has 1 to ${TOOL_NAME_LENGTH_MAX} letters, digits, _ and -.`, 'tools');
    }
    bytes += schemaBytes(schema);
  }
  if (bytes > CONSTRAINT_BYTES_MAX) {
    throw refuse(`The schemas of all tools take more than ${CONSTRAINT_BYTES_MAX} bytes.`, 'tools');
  }
  if (new Set(tools.map(({ name }) => name)).size !== tools.length) throw refuse('Two tools have one name.', 'tools');
}

function schemaBytes(schema: string): number {
  // Each unit takes a byte at least: a text that is far too long isn't encoded first.
  const bytes = schema.length > SCHEMA_BYTES_MAX ? Number.POSITIVE_INFINITY : encoder.encode(schema).byteLength;
  if (bytes > SCHEMA_BYTES_MAX) throw refuse(`A schema takes more than ${SCHEMA_BYTES_MAX} bytes.`, 'schema');
  if (bytes === 0) throw refuse('A schema is missing.', 'schema');
  return bytes;
}
