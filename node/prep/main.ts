// The prep process: tokenises long texts and decodes sounds, one at a time, in a heap and under permissions of its own.
// Started by PrepProcess, never by a person. It may be killed at any moment: it holds nothing but caches.
import { Worker } from 'node:worker_threads';
import { loadTokenizer, type TextTokenizer } from '../../models/tasks/tokenizer.ts';
import { toWeftError } from '../../protocol/errors.ts';
import { FRAMES_PER_MESSAGE, SOUND_SECONDS_MAX, TOKENIZERS_MAX } from './limits.ts';
import type { Heard, ListenTask, PrepReply, PrepRequest } from './messages.ts';

/** By folder, least recently used first. */
const tokenizers = new Map<string, TextTokenizer>();

async function tokenizerOf(folder: string): Promise<TextTokenizer> {
  const tokenizer = tokenizers.get(folder) ?? (await loadTokenizer(folder));
  tokenizers.delete(folder);
  tokenizers.set(folder, tokenizer);
  for (const oldest of tokenizers.keys()) {
    if (tokenizers.size <= TOKENIZERS_MAX) break;
    tokenizers.delete(oldest);
  }
  return tokenizer;
}

async function answer({ id, task }: PrepRequest): Promise<PrepReply> {
  try {
    if (task.kind === 'listen') return { id, result: await listen(id, task) };
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

/**
 * Ends this process when the node that started it is gone, however busy this thread is: a second thread waits for the
 * end of a pipe (file 4) that only the node holds. Given as text, so that it needs no file of its own beside a bundle.
 */
function endWithParent(): void {
  const watch = `
    const { Socket } = require('node:net');
    const pipe = new Socket({ fd: 4 });
    pipe.on('error', () => pipe.destroy());
    pipe.on('close', () => process.kill(process.pid, 'SIGKILL'));
    pipe.resume();`;
  // Less than 16/2 MB and the thread dies at its start.
  new Worker(watch, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 } });
}

endWithParent();
process.on('disconnect', () => process.exit(0));
process.on('message', (request: PrepRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
