// The prep process: tokenises long texts, decodes sounds and inspects models and their parts, one at a time, in a heap and under
// permissions of its own.
// Started by PrepProcess, never by a person. It may be killed at any moment: it holds nothing but caches.
import { loadTokenizer, type TextTokenizer } from '../../models/tasks/tokenizer.ts';
import { toWeftError } from '../../protocol/errors.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Inspected } from '../core/prep.ts';
import {
  FRAMES_PER_MESSAGE,
  INSPECT_REPORT_BYTES,
  RESIDENT_MB_MAX,
  SOUND_SECONDS_MAX,
  TOKENIZERS_MAX,
} from './limits.ts';
import type { Heard, InspectTask, ListenTask, PrepReply, PrepRequest } from './messages.ts';
import { keepWatch } from './watch.ts';

/** By folder, least recently used first. */
const tokenizers = new Map<string, TextTokenizer>();

async function tokenizerOf(folder: string): Promise<TextTokenizer> {
  const tokenizer = tokenizers.get(folder) ?? (await loadTokenizer(folder));
  tokenizers.delete(folder);
  tokenizers.set(folder, tokenizer);
  keepNewest(tokenizers, TOKENIZERS_MAX);
  return tokenizer;
}

async function answer({ id, task }: PrepRequest): Promise<PrepReply> {
  try {
    if (task.kind === 'listen') return { id, result: await listen(id, task) };
    if (task.kind === 'inspect') return { id, result: await inspect(id, task) };
    if (task.kind === 'part') {
      const { partFiles } = await import('../../models/onnx/partition/structure.ts');
      return { id, result: partFiles(task.request) };
    }
    if (task.kind === 'part models') {
      const { partModels } = await import('../../models/onnx/partition/part-file.ts');
      return { id, result: partModels(task.request) };
    }
    const { tokenizerFolder, text, tokensMax, specialTokens } = task;
    const tokenizer = await tokenizerOf(tokenizerFolder);
    return { id, result: tokenizer.encode(text, { tokensMax, specialTokens }) };
  } catch (error) {
    const { code, message, remedy, facts } = toWeftError(error);
    return { id, fault: { code, message, remedy, facts } };
  }
}

/** The spectra go ahead in parts: one message of an hour's would hold up the node for as long as it takes to read it. */
async function listen(id: number, { file, spec }: ListenTask): Promise<Heard> {
  // Five decoders that texts have no use for.
  const { decodeSound } = await import('./audio/decode.ts');
  const { spectrogram } = await import('./audio/spectrogram.ts');
  const samples = await decodeSound(file, { sampleRate: spec.sampleRate, secondsMax: SOUND_SECONDS_MAX });
  const { data, ...heard } = spectrogram(samples, spec);
  const values = FRAMES_PER_MESSAGE * spec.melBins;
  for (let at = 0; at < data.length; at += values) {
    const part: PrepReply = { id, part: data.slice(at, at + values) };
    await new Promise<void>((resolve) => process.send?.(part, () => resolve()));
  }
  return heard;
}

async function inspect(id: number, { request }: InspectTask): Promise<Inspected> {
  const { inspectModel } = await import('../../models/import/inspect.ts');
  let unsaid = 0;
  const say = (): void => {
    const reply: PrepReply = { id, bytes: unsaid };
    unsaid = 0;
    process.send?.(reply);
  };
  const inspected = await inspectModel(request, {
    onBytes(bytes) {
      unsaid += bytes;
      if (unsaid >= INSPECT_REPORT_BYTES) say();
    },
  });
  say();
  return inspected;
}

keepWatch(Number(process.argv[2] ?? RESIDENT_MB_MAX));
process.on('disconnect', () => process.exit(0));
process.on('message', (request: PrepRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
