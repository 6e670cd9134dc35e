// What Weft supports of OpenAI's API, endpoint by endpoint. The gateway checks requests against these schemas and builds
// its answers to them; whatever a schema does not name is refused by name.
export {
  TranscriptEvent,
  type TranscriptFormat,
  Transcription,
  TranscriptionRequest,
  TranslationRequest,
  VerboseTranscription,
} from './openai/audio.ts';
export {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  CONTENT_PARTS_MAX,
  MESSAGES_MAX,
} from './openai/chat.ts';
export { CHOICES_MAX, Completion, CompletionRequest, LOGPROBS_MAX, PROMPTS_MAX } from './openai/completions.ts';
export { EMBEDDING_INPUTS_MAX, EmbeddingList, EmbeddingRequest } from './openai/embeddings.ts';
export { ANSWERS_MAX, STOP_LENGTH_MAX, STOP_STRINGS_MAX, UNSUPPORTED } from './openai/fields.ts';
export { ErrorBody, Model, ModelList } from './openai/models.ts';
export { type InputItem, mergeItems } from './openai/response-items.ts';
export {
  OutputItem,
  Response,
  ResponseDeleted,
  ResponseEvent,
  ResponseQuery,
  ResponseRequest,
} from './openai/responses.ts';
export {
  type Format,
  type InputMessage,
  SCHEMA_DEPTH_MAX,
  SCHEMAS_BYTES_MAX,
  type Tool,
  type ToolChoice,
} from './openai/tools.ts';
