// Fields that requests of OpenAI's API and of the control API share: names of models, and tensors by name, type and shape.
import { z } from 'zod';
import { TENSOR_NAME_LENGTH_MAX, TENSOR_RANK_MAX } from '../limits.ts';
import { DataType, type DataTypeName } from '../tensor.ts';

/** Names longer than this belong to no model; they come back in the error's text. */
export const MODEL_NAME_LENGTH_MAX = 256;

const MODEL_TEXT = 'must be the name of a model';

/** Hub id or short name. */
export const ModelName = z
  .string(MODEL_TEXT)
  .min(1, MODEL_TEXT)
  .max(MODEL_NAME_LENGTH_MAX, `must have at most ${MODEL_NAME_LENGTH_MAX} characters`);

const DTYPES = Object.keys(DataType) as [DataTypeName, ...DataTypeName[]];

/** ONNX's element types. */
export const DType = z.enum(DTYPES, `must be one of ${DTYPES.join(', ')}`);

const NAME_TEXT = `must be a name of 1 to ${TENSOR_NAME_LENGTH_MAX} characters`;

export const TensorName = z.string(NAME_TEXT).min(1, NAME_TEXT).max(TENSOR_NAME_LENGTH_MAX, NAME_TEXT);

const SHAPE_TEXT = `must be at most ${TENSOR_RANK_MAX} whole numbers of 0 or more`;

export const TensorShape = z
  .array(z.int(SHAPE_TEXT).nonnegative(SHAPE_TEXT), SHAPE_TEXT)
  .max(TENSOR_RANK_MAX, SHAPE_TEXT);
