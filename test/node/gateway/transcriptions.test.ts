// POST /v1/audio/transcriptions and /v1/audio/translations with the official client, and what forms are refused.
import OpenAI, { toFile } from 'openai';
import { describe, expect, it } from 'vitest';
import type { TranscribeAnswer, TranscribeEvents, TranscribeRequest } from '../../../node/core/coordinator.ts';
import { GATEWAY_LIMITS } from '../../../node/gateway/limits.ts';
import { Transcription, VerboseTranscription } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { ended, KEY, OTHER, PLAN, RawClient, type StartInit, startGateway } from './support.ts';

const SEGMENT = { seek: 0, tokens: [1, 2], temperature: 0, averageLogprob: -0.5, compressionRatio: 0.8 };

const ANSWER: TranscribeAnswer = {
  model: 'owner/whisper',
  text: 'Hello wörld. Bye.',
  language: 'de',
  durationS: 3.21,
  segments: [
    { ...SEGMENT, id: 0, startS: 0, endS: 1.5, text: ' Hello wörld.' },
    { ...SEGMENT, id: 1, startS: 3_661.5, endS: 3_662.04, text: ' Bye.\n--> x' },
  ],
  usage: { promptTokens: 4, completionTokens: 9 },
  nodes: [OTHER],
  plan: PLAN,
};

const FILE = Buffer.from('RIFF, it says');

async function start(options: StartInit = {}) {
  const asked: TranscribeRequest[] = [];
  const gateway = await startGateway({
    coordinator: {
      transcribe: async (request, _options, events: TranscribeEvents) => {
        asked.push(request);
        events.onPlaced?.(OTHER, 'owner/whisper');
        events.onText?.('Hello');
        events.onText?.(' wörld. Bye.');
        return ANSWER;
      },
    },
    ...options,
  });
  const form = (
    fields: Record<string, string | Blob | readonly string[]>,
    path = 'transcriptions',
  ): Promise<Response> => {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) {
      for (const one of [value].flat()) body.append(name, one as string);
    }
    return fetch(`${gateway.url}/v1/audio/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}` },
      body,
    });
  };
  return { ...gateway, asked, form };
}

const sound = () => toFile(FILE, 'speech.wav');
const blob = new Blob([FILE]);

describe('the official client', () => {
  it('gets the text of a sound', async () => {
    const { openai, asked } = await start();
    const { data, response } = await openai.audio.transcriptions
      .create({ file: await sound(), model: 'whisper' })
      .withResponse();
    expect(Transcription.parse(data)).toEqual({
      text: 'Hello wörld. Bye.',
      usage: { type: 'duration', seconds: 4 },
      weft: { nodes: [OTHER], plan: { kind: 'remote', predicted_ms: 12.35 } },
    });
    expect(response.headers.get('x-weft-node')).toBe(OTHER);
    expect(asked).toEqual([{ model: 'whisper', file: FILE, translate: false, temperature: 0, timestamps: false }]);
  });

  it('gets segments with their times', async () => {
    const { openai, asked } = await start();
    const answer = await openai.audio.transcriptions.create({
      file: await sound(),
      model: 'whisper',
      response_format: 'verbose_json',
      timestamp_granularities: ['segment'],
      language: 'de',
      prompt: 'Weft',
      temperature: 0.5,
    });
    expect(VerboseTranscription.parse(answer)).toMatchObject({
      task: 'transcribe',
      language: 'german',
      duration: 3.21,
    });
    expect(answer.segments?.[0]).toEqual({
      id: 0,
      seek: 0,
      start: 0,
      end: 1.5,
      text: ' Hello wörld.',
      tokens: [1, 2],
      temperature: 0,
      avg_logprob: -0.5,
      compression_ratio: 0.8,
    });
    expect(asked).toMatchObject([{ language: 'de', prompt: 'Weft', temperature: 0.5, timestamps: true }]);
  });

  it('gets subtitles and plain text', async () => {
    const { openai, asked } = await start();
    const get = async (format: 'srt' | 'vtt' | 'text') =>
      openai.audio.transcriptions.create({ file: await sound(), model: 'whisper', response_format: format });
    expect(await get('text')).toBe('Hello wörld. Bye.\n');
    expect(await get('srt')).toBe(
      '1\n00:00:00,000 --> 00:00:01,500\nHello wörld.\n\n2\n01:01:01,500 --> 01:01:02,040\nBye. -> x\n\n',
    );
    expect(await get('vtt')).toBe(
      'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello wörld.\n\n01:01:01.500 --> 01:01:02.040\nBye. -> x\n\n',
    );
    expect(asked.map(({ timestamps }) => timestamps)).toEqual([false, true, true]);
  });

  it('gets a transcript as it is written', async () => {
    const { openai } = await start();
    const stream = await openai.audio.transcriptions.create({ file: await sound(), model: 'whisper', stream: true });
    const events = [];
    for await (const event of stream) events.push(event);
    expect(events).toMatchObject([
      { type: 'transcript.text.delta', delta: 'Hello' },
      { type: 'transcript.text.delta', delta: ' wörld. Bye.' },
      { type: 'transcript.text.done', text: 'Hello wörld. Bye.', usage: { type: 'duration', seconds: 4 } },
    ]);
  });

  it('gets a translation', async () => {
    const { openai, asked } = await start();
    const answer = await openai.audio.translations.create({ file: await sound(), model: 'whisper' });
    expect(answer.text).toBe('Hello wörld. Bye.');
    expect(asked).toMatchObject([{ translate: true }]);
  });

  it('sees a failure after the beginning as an error', async () => {
    const { openai } = await start({
      coordinator: {
        transcribe: async (_request, _options, events) => {
          events.onText?.('Hello');
          throw new WeftError({ code: 'no_capable_node', message: 'gone' });
        },
      },
    });
    const stream = await openai.audio.transcriptions.create({ file: await sound(), model: 'whisper', stream: true });
    const read = async () => {
      for await (const event of stream) expect(event).toMatchObject({ delta: 'Hello' });
    };
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  it('sees what the coordinator refuses, with its status', async () => {
    const { openai } = await start({
      coordinator: {
        transcribe: async () => {
          throw new WeftError({ code: 'bad_request', message: 'No sound.', facts: { param: 'file' } });
        },
      },
    });
    for (const stream of [false, true]) {
      const work = openai.audio.transcriptions.create({ file: await sound(), model: 'whisper', stream });
      await expect(work).rejects.toMatchObject({ status: 400, param: 'file' });
    }
  });
});

describe('a form', () => {
  it.each<[string, Record<string, string | Blob | readonly string[]>, string]>([
    ['without a file', { model: 'w' }, 'file'],
    ['with a text for a file', { model: 'w', file: 'hello' }, 'file'],
    ['with an empty file', { model: 'w', file: new Blob([]) }, 'file'],
    ['without a model', { file: blob }, 'model'],
    ['with a model twice', { file: blob, model: ['a', 'b'] }, 'model'],
    ['with a file of another name', { model: 'w', sound: blob }, 'sound'],
    ['with a format that nobody knows', { model: 'w', file: blob, response_format: 'pdf' }, 'response_format'],
    ['with a temperature that is none', { model: 'w', file: blob, temperature: 'warm' }, 'temperature'],
    ['with a temperature above 1', { model: 'w', file: blob, temperature: '2' }, 'temperature'],
    ['with a flag that is none', { model: 'w', file: blob, stream: 'perhaps' }, 'stream'],
    [
      'with times but no place for them',
      { model: 'w', file: blob, 'timestamp_granularities[]': 'segment' },
      'timestamp_granularities',
    ],
    ['with subtitles as a stream', { model: 'w', file: blob, stream: 'true', response_format: 'srt' }, 'stream'],
    ['with log probabilities', { model: 'w', file: blob, 'include[]': 'logprobs' }, 'include[]'],
    ['with what nobody knows', { model: 'w', file: blob, colour: 'red' }, 'colour'],
  ])('%s is refused by name', async (_what, fields, param) => {
    const { form, asked } = await start();
    const response = await form(fields);
    expect([response.status, await response.json()]).toMatchObject([400, { error: { param } }]);
    expect(asked).toEqual([]);
  });

  it('that asks for the times of words is told so', async () => {
    const { form } = await start();
    const fields = {
      model: 'w',
      file: blob,
      response_format: 'verbose_json',
      'timestamp_granularities[]': ['word', 'segment'],
    };
    expect(await (await form(fields)).json()).toMatchObject({
      error: { code: 'unsupported_parameter', message: expect.stringContaining('times of words') },
    });
  });

  it('may have what a lenient gateway leaves out', async () => {
    const { form } = await start({ init: { lenient: () => true } });
    const response = await form({ model: 'w', file: blob, colour: 'red', 'include[]': 'logprobs' });
    expect(response.headers.get('x-weft-ignored')).toBe('include[], colour');
  });

  it('with a file above the bound is refused while it comes, and the next request is answered', async () => {
    const { form } = await start({ limits: { fileBytesMax: 100_000 } });
    for (const size of [100_001, 3_000_000]) {
      const response = await form({ model: 'w', file: new Blob([new Uint8Array(size)]) });
      expect([response.status, await response.json()]).toMatchObject([413, { error: { code: 'body_too_large' } }]);
    }
    expect((await form({ model: 'w', file: new Blob([new Uint8Array(100_000)]) })).status).toBe(200);
  });

  it('may have a file larger than any other body', async () => {
    const { form, asked } = await start();
    const size = GATEWAY_LIMITS.bodyBytesMax + 1_000_000;
    expect((await form({ model: 'w', file: new Blob([new Uint8Array(size)]) })).status).toBe(200);
    expect(asked[0]?.file).toHaveLength(size);
  });

  it('with too many fields or too long ones is refused', async () => {
    const { form } = await start();
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, 'x']));
    expect((await form({ ...many, model: 'w', file: blob })).status).toBe(400);
    expect((await form({ model: 'w', prompt: 'x'.repeat(100_000), file: blob })).status).toBe(400);
  });

  it('takes no more memory than all bodies may have together', async () => {
    const { form } = await start({ limits: { bodiesBytesMax: 50_000 } });
    const response = await form({ model: 'w', file: new Blob([new Uint8Array(60_000)]) });
    expect([response.status, await response.json()]).toMatchObject([429, { error: { weft_code: 'overloaded' } }]);
    expect((await form({ model: 'w', file: blob })).status).toBe(200);
  });

  it('that is none is refused', async () => {
    const { url, call } = await start();
    const post = (type: string, body: string) =>
      fetch(`${url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': type },
        body,
      });
    expect((await post('application/json', '{}')).status).toBe(415);
    expect((await post('multipart/form-data', 'x')).status).toBe(400);
    expect(
      (await post('multipart/form-data; boundary=b', '--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nw'))
        .status,
    ).toBe(400);
    // Forms are understood at these addresses and nowhere else.
    expect((await call('/v1/rerank', '--b', { 'content-type': 'multipart/form-data; boundary=b' })).status).toBe(403);
    expect((await call('/v1/audio/transcriptions')).status).toBe(405);
  });

  it('needs the key', async () => {
    const { url } = await start();
    const body = new FormData();
    body.append('file', blob);
    expect((await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body })).status).toBe(401);
  });

  it('whose client goes away ends the work', async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<unknown>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { port } = await start({
      coordinator: {
        transcribe: async (_request, { signal }) => {
          begin();
          signal.addEventListener('abort', () => resolve(signal.reason));
          return ended(signal);
        },
      },
    });
    const parts = [
      '--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nw',
      '\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nsound\r\n--b--\r\n',
    ];
    const body = parts.join('');
    const client = new RawClient(port);
    client.write(
      `POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${KEY}\r\n` +
        `content-type: multipart/form-data; boundary=b\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await begun;
    client.socket.destroy();
    expect(await aborted).toMatchObject({ code: 'cancelled' });
  });
});
