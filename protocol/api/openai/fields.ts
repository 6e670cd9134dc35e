// Pieces that OpenAI's requests share: what null means, what is refused by name, and the settings by which text is drawn.
import { z } from 'zod';
import {
  LOGIT_BIAS_ABS_MAX,
  LOGIT_BIAS_MAX,
  PENALTY_ABS_MAX,
  REPETITION_PENALTY_MAX,
  REPETITION_PENALTY_MIN,
} from '../../limits.ts';

/** OpenAI's own bound. */
export const STOP_STRINGS_MAX = 4;

/** Each is searched for in the text at every token; nobody stops at a page of text. */
export const STOP_LENGTH_MAX = 1_024;

/** Answers to one prompt. Each takes a place of its own in the runner's batch for as long as it lasts. */
export const ANSWERS_MAX = 16;

/** Token ids are int32 everywhere. */
export const TOKEN_ID_MAX = 2 ** 31 - 1;

/** Marks an issue as "known, and not supported" instead of "wrong". */
export const UNSUPPORTED = { unsupported: true } as const;

/** As {@link UNSUPPORTED}, for a parameter: a lenient gateway goes on without it. */
export const DROPPABLE = { unsupported: true, droppable: true } as const;

/** Absent and null mean the same, as in OpenAI's API. */
export function optional<Schema extends z.ZodType>(
  schema: Schema,
): z.ZodType<z.output<Schema> | undefined, z.input<Schema> | null | undefined> {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** A number within a range, both ends included. */
export const numberIn = (min: number, max: number, text: string) =>
  optional(z.number(text).min(min, text).max(max, text));

/** A whole number within a range, both ends included. */
export const integerIn = (min: number, max: number, text: string) =>
  optional(z.int(text).min(min, text).max(max, text));

export const flag = () => optional(z.boolean('must be true or false'));

type IsNeutral = (value: unknown) => boolean;
const never: IsNeutral = () => false;
export const oneOf =
  (...values: readonly unknown[]): IsNeutral =>
  (value) =>
    values.includes(value);
export const emptyArray: IsNeutral = (value) => Array.isArray(value) && value.length === 0;

/** A parameter of OpenAI's that is not supported: only absent, null and values that ask for nothing pass. */
export const unsupported = (text = 'is not supported', isNeutral: IsNeutral = never, remedy?: string) =>
  z
    .unknown()
    .refine((value) => value === undefined || value === null || isNeutral(value), {
      message: text,
      params: remedy === undefined ? DROPPABLE : { ...DROPPABLE, remedy },
    })
    .optional()
    .meta({ description: text });

/** A parameter that changes no answer here, whatever it says. */
export const ignored = () => z.unknown().optional().meta({ description: 'has no effect' });

/** An own field of an object from JSON. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

/** A plain object from JSON: no array, not null. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How a transform refuses a value, or a part of it. */
export type Fail = (message: string, path?: readonly (string | number)[], params?: Readonly<object>) => never;

/** What a value looks like, for the OpenAPI document: JSON Schema. */
export type Shape = Readonly<Record<string, unknown>>;

/**
 * A schema by hand: for values of several shapes, whose error should name the part at fault.
 * @param shape says the same to readers of the API's description
 */
export function custom<Value>(read: (value: unknown, fail: Fail) => Value, shape: Shape = {}): z.ZodType<Value> {
  return z
    .unknown()
    .meta(shape)
    .transform((value, context) => reading(context, (fail) => read(value, fail)));
}

/** One of several schemas, chosen by the value. Unlike with a union, the error is that of the schema that was chosen. */
export function chosen<Value>(
  choose: (value: unknown, fail: Fail) => z.ZodType<Value>,
  shape: Shape,
): z.ZodType<Value> {
  return z
    .unknown()
    .meta(shape)
    .transform((value, context) => {
      const schema = reading(context, (fail) => choose(value, fail));
      if (!(schema instanceof z.ZodType)) return z.NEVER;
      const result = schema.safeParse(value);
      if (result.success) return result.data;
      for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
      return z.NEVER;
    });
}

/** What a schema takes. Slow: asked for when somebody wants the API's description, not at every start. */
export function shapeOf(schema: z.ZodType): Shape {
  const { $schema: _draft, ...shape } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return shape;
}

/**
 * An array whose elements are looked at only when there are not too many of them: a million are counted, not read.
 * @param what its elements are, in the plural
 */
export function counted<Value>(
  element: z.ZodType<Value>,
  { what, text, min, max }: { readonly what: string; readonly text: string; readonly min: 0 | 1; readonly max: number },
): z.ZodType<readonly Value[], readonly unknown[]> {
  const shape = {
    get items(): Shape {
      return shapeOf(element);
    },
  };
  return z
    .array(z.unknown(), text)
    .min(min, `must not be empty`)
    .max(max, `must hold at most ${max} ${what}`)
    .meta(shape)
    .pipe(z.array(element));
}

/** Ends a reading that has named its issue. */
const STOP = Symbol('stop');

function reading<Value>(context: z.RefinementCtx, read: (fail: Fail) => Value): Value {
  const fail: Fail = (message, path = [], params) => {
    context.addIssue({
      code: 'custom',
      message,
      path: [...path],
      ...(params === undefined ? {} : { params: { ...params } }),
    });
    throw STOP;
  };
  try {
    return read(fail);
  } catch (error) {
    if (error === STOP) return z.NEVER;
    throw error;
  }
}

/** A text, or a list of texts: what many parameters may be. */
export const textOrTexts = (maxItems: number): Shape => ({
  anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, maxItems }],
});

/** A text, texts, token ids, or arrays of those. */
export const textsOrTokens = (maxItems: number): Shape => {
  const tokens = { type: 'array', items: { type: 'integer', minimum: 0, maximum: TOKEN_ID_MAX }, minItems: 1 };
  const one = { anyOf: [{ type: 'string' }, tokens] };
  return { anyOf: [...one.anyOf, { type: 'array', items: one, minItems: 1, maxItems }] };
};

/** At least one token. */
export const tokenCount = () => integerIn(1, TOKEN_ID_MAX, 'must be an integer of at least 1');

export const temperature = () => numberIn(0, 2, 'must be a number from 0 to 2');

const ABOVE_0 = 'must be a number above 0, up to 1';
export const topP = () => numberIn(0, 1, ABOVE_0).refine((value) => value !== 0, ABOVE_0);

const stop = optional(
  custom((value, fail): readonly string[] => {
    const stops: readonly unknown[] = Array.isArray(value) ? value : [value];
    const valid = (one: unknown): one is string =>
      typeof one === 'string' && one.length > 0 && one.length <= STOP_LENGTH_MAX;
    if (stops.length <= STOP_STRINGS_MAX && stops.every(valid)) return stops;
    return fail(`must be a string or at most ${STOP_STRINGS_MAX} strings of 1 to ${STOP_LENGTH_MAX} characters`);
  }, textOrTexts(STOP_STRINGS_MAX)),
);

/** A map of token id → bias, as OpenAI has it. */
const logitBias = optional(
  custom(
    (value, fail): readonly { readonly id: number; readonly bias: number }[] => {
      if (!isObject(value)) return fail('must be an object of token id → bias');
      const entries = Object.entries(value);
      if (entries.length > LOGIT_BIAS_MAX) return fail(`must have at most ${LOGIT_BIAS_MAX} token ids`);
      return entries.map(([key, bias]) => {
        const id = /^\d{1,10}$/.test(key) ? Number(key) : Number.POSITIVE_INFINITY;
        if (id > TOKEN_ID_MAX) return fail('must have token ids as its names', [key]);
        if (typeof bias !== 'number' || !(Math.abs(bias) <= LOGIT_BIAS_ABS_MAX))
          return fail(`must be a number from -${LOGIT_BIAS_ABS_MAX} to ${LOGIT_BIAS_ABS_MAX}`, [key]);
        return { id, bias };
      });
    },
    { type: 'object', additionalProperties: { type: 'number' }, maxProperties: LOGIT_BIAS_MAX },
  ),
);

const penalty = () =>
  numberIn(-PENALTY_ABS_MAX, PENALTY_ABS_MAX, `must be a number from -${PENALTY_ABS_MAX} to ${PENALTY_ABS_MAX}`);
const repetition = () =>
  numberIn(
    REPETITION_PENALTY_MIN,
    REPETITION_PENALTY_MAX,
    `must be a number from ${REPETITION_PENALTY_MIN} to ${REPETITION_PENALTY_MAX}`,
  );

/** How text is drawn: OpenAI's settings, and the further ones by the names that vLLM gave them. */
export const SAMPLING = {
  temperature: temperature(),
  top_p: topP(),
  /** 0 and -1 = off. */
  top_k: integerIn(-1, TOKEN_ID_MAX, 'must be an integer of at least 1, or 0 or -1 for none'),
  min_p: numberIn(0, 1, 'must be a number from 0 to 1'),
  repetition_penalty: repetition(),
  /** The same by the name that llama.cpp's server gave it. */
  repeat_penalty: repetition(),
  presence_penalty: penalty(),
  frequency_penalty: penalty(),
  logit_bias: logitBias,
  seed: optional(z.int('must be an integer between -(2^53 - 1) and 2^53 - 1')),
  stop,
  n: integerIn(1, ANSWERS_MAX, `must be an integer from 1 to ${ANSWERS_MAX}`),
} as const;

export const STREAMING = {
  stream: flag(),
  stream_options: optional(
    z.strictObject(
      { include_usage: flag(), include_obfuscation: unsupported('is not supported', oneOf(false)) },
      'must be an object',
    ),
  ),
} as const;

/** Names a parameter of the request that doesn't fit the others. */
export type Misfit = (name: string, message: string, params?: Readonly<Record<string, unknown>>) => void;

/** A check of a request whose parameters are all right by themselves. */
export function together<Request>(
  check: (request: Request, misfit: Misfit) => void,
): (request: Request, context: z.RefinementCtx<Request>) => void {
  return (request, context) => {
    if (context.issues.length > 0) return;
    check(request, (name, message, params) =>
      context.addIssue({
        code: 'custom',
        path: [name],
        message,
        input: request,
        ...(params === undefined ? {} : { params: { ...params } }),
      }),
    );
  };
}

/** Parameters of one request that must agree: what of two names, or of a parameter and what it belongs to. */
export function checkTogether(
  request: {
    readonly stream?: boolean | undefined;
    readonly stream_options?: object | undefined;
    readonly repetition_penalty?: number | undefined;
    readonly repeat_penalty?: number | undefined;
  },
  misfit: Misfit,
): void {
  if (request.stream_options !== undefined && request.stream !== true)
    misfit('stream_options', 'is only allowed when "stream" is true');
  checkSame(request.repeat_penalty, request.repetition_penalty, () =>
    misfit('repeat_penalty', 'must equal "repetition_penalty" when both are given'),
  );
}

/** Two names of one parameter: one, or both with the same value. */
export function checkSame(one: unknown, other: unknown, fail: () => void): void {
  if (one !== undefined && other !== undefined && one !== other) fail();
}
