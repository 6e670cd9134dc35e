// Requests that run models leave their way behind.
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { TraceRing } from '../../../node/telemetry/traces.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { until } from '../../support/wait.ts';
import {
  CHAT_MODEL,
  chatResult,
  embedLengths,
  ended,
  helloChat,
  OTHER,
  PLAN,
  type StartInit,
  startGateway,
  USER_HI,
} from './support.ts';

async function start(options: StartInit = {}) {
  const traces = new TraceRing({ clock: systemClock, random: systemRandom });
  const gateway = await startGateway({ ...options, components: { ...options.components, traces } });
  return { ...gateway, traces };
}

const CHAT = { model: 'chat', messages: USER_HI };

describe('a request that runs a model', () => {
  it('is noted down under its id, in the trace of its client', async () => {
    const { call, traces } = await start({
      coordinator: {
        chat: async (request, options, events) => {
          options.trace?.model(CHAT_MODEL);
          options.trace?.placed(PLAN);
          return helloChat(request, options, events);
        },
      },
    });
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const answer = await call('/v1/chat/completions', CHAT, { traceparent });
    await answer.text();
    expect(answer.headers.get('x-weft-trace')).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(traces.get(answer.headers.get('x-request-id') ?? '')).toMatchObject({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      name: 'POST /v1/chat/completions',
      model: CHAT_MODEL,
      status: 'ok',
      plans: [PLAN],
    });
  });

  it('begins a trace of its own where its client names none, or nonsense', async () => {
    const { call, traces } = await start();
    for (const headers of [{}, { traceparent: '00-zz' }] as Record<string, string>[]) {
      const answer = await call('/v1/embeddings', { model: 'embed', input: 'x' }, headers);
      expect(traces.get(answer.headers.get('x-request-id') ?? '')?.traceId).toBe(answer.headers.get('x-weft-trace'));
    }
  });

  it('is kept with the code that it failed with, whole or in a stream', async () => {
    const lost = new WeftError({ code: 'peer_lost', message: 'Lost.' });
    const { call, traces } = await start({
      coordinator: {
        chat: async (_request, _options, events) => {
          events.onPlaced?.(OTHER, CHAT_MODEL);
          events.onDelta({ choice: 0, text: 'Hel' });
          throw lost;
        },
      },
    });
    for (const stream of [false, true]) {
      const answer = await call('/v1/chat/completions', { ...CHAT, stream });
      await answer.text();
      expect(traces.list()[0]).toMatchObject({ status: 'error', code: 'peer_lost' });
    }
    await call('/v1/chat/completions', { ...CHAT, temperature: 'hot' });
    expect(traces.list()[0]).toMatchObject({ status: 'error', code: 'bad_request' });
  });

  it('is cancelled when its client goes away', async () => {
    const { url, traces, call } = await start({
      coordinator: { chat: async (_request, { signal }) => ended(signal) },
    });
    const controller = new AbortController();
    const gone = fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer weft-test-key-0123456789', 'content-type': 'application/json' },
      body: JSON.stringify({ ...CHAT, stream: true }),
      signal: controller.signal,
    }).catch((error: unknown) => error);
    await until('the request', () => traces.list()[0]?.status === 'running');
    controller.abort();
    await gone;
    await until('its end', () => traces.list()[0]?.status === 'cancelled');
    expect((await call('/api/v1/status')).headers.get('x-weft-trace')).toBeNull();
  });

  it('is told from those that run none', async () => {
    const { call, traces } = await start({
      coordinator: { embed: embedLengths, chat: async () => chatResult() },
    });
    for (const path of ['/v1/models', '/api/v1/status', '/api/v1/requests', '/metrics']) await call(path);
    expect(traces.list()).toEqual([]);
  });
});
