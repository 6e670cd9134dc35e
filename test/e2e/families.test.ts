// Speech and reranking with models that a person put into the models' folder: on the node that has them, and through one
// that has none.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toFile } from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RerankAnswer } from '../../protocol/api/rerank.ts';
import { tone, wav } from '../node/prep/audio/wav-bytes.ts';
import { clientOf } from '../support/chat.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, ticketOf } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { tinyReranker } from '../support/tiny-reranker.ts';
import { tinySpeech } from '../support/tiny-speech.ts';

const start = daemonsOfTest();
const SOUNDS = new URL('../fixtures/sound/', import.meta.url);

/** A daemon with both tiny models, and one that works through it. */
async function mesh(): Promise<{ readonly worker: Daemon; readonly edge: Daemon }> {
  const root = await mkdtemp(join(tmpdir(), 'weft-families-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await tinyReranker(root);
  await tinySpeech(root);
  const worker = await start({ env: { WEFT_MODELS: root } });
  const edge = await start({ args: ['--offer', 'none', '--join', await ticketOf(worker)] });
  await connectedPeers(edge, 1);
  return { worker, edge };
}

describe('models that a person added', () => {
  it('write down speech and rank texts, here and through a peer', async () => {
    const { worker, edge } = await mesh();
    const listed = (await clientOf(edge).models.list()).data.map(
      (model) => (model as unknown as { weft: { task: string } }).weft.task,
    );
    expect(listed).toEqual(expect.arrayContaining(['text-ranking', 'automatic-speech-recognition']));

    // Seven seconds are several windows of this model.
    const sound = wav(tone(16_000, 7));
    const transcribe = (daemon: Daemon, file: Buffer, name: string) =>
      toFile(file, name).then((upload) =>
        clientOf(daemon)
          .audio.transcriptions.create({ file: upload, model: 'tiny-whisper', response_format: 'verbose_json' })
          .withResponse(),
      );
    const here = await transcribe(worker, sound, 'tone.wav');
    const there = await transcribe(edge, sound, 'tone.wav');
    expect(here.data).toMatchObject({ task: 'transcribe', duration: 7 });
    expect(['english', 'german']).toContain(here.data.language);
    expect(here.data.text).toMatch(/^[a-z ]+$/);
    expect(here.data.segments?.length).toBeGreaterThan(1);
    expect(there.data.text).toBe(here.data.text);
    expect(there.data.segments).toEqual(here.data.segments);
    expect(there.response.headers.get('x-weft-node')).toBe(worker.node);

    for (const name of ['tone-44100.mp3', 'tone-22050.flac', 'tone-32000-vorbis.ogg', 'tone-48000-opus.ogg']) {
      const { data } = await transcribe(worker, await readFile(new URL(name, SOUNDS)), name);
      expect(data.duration).toBeCloseTo(0.5, 1);
    }
    await expect(transcribe(worker, Buffer.from('no sound at all'), 'a.wav')).rejects.toMatchObject({
      status: 400,
      param: 'file',
    });

    const stream = await clientOf(edge).audio.transcriptions.create({
      file: await toFile(sound, 'tone.wav'),
      model: 'tiny-whisper',
      stream: true,
    });
    let text = '';
    for await (const event of stream) if (event.type === 'transcript.text.delta') text += event.delta;
    expect(text.trim()).toBe(here.data.text);

    const rerank = async (daemon: Daemon, model = 'tiny-reranker'): Promise<Response> =>
      fetch(`${daemon.url}/v1/rerank`, {
        method: 'POST',
        headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model, query: 'what do cats eat', documents: ['cats eat fish', 'a blue sky', 'dogs'] }),
      });
    const ranked = (await (await rerank(worker)).json()) as RerankAnswer;
    expect(ranked.results.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    const scores = ranked.results.map(({ relevance_score: score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    const far = await rerank(edge);
    expect(far.headers.get('x-weft-node')).toBe(worker.node);
    const { results } = (await far.json()) as RerankAnswer;
    expect(results.map(({ index }) => index)).toEqual(ranked.results.map(({ index }) => index));

    const wrong = await rerank(worker, 'tiny-whisper');
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { error: { param: 'model' } }]);
  });
});
