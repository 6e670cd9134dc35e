// The server itself: starting, stopping, addresses it does not have, and what it counts and logs.
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { Gateway } from '../../../node/gateway/gateway.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { until } from '../../support/wait.ts';
import {
  chatResult,
  ended,
  fakeControl,
  fakeConversations,
  fakeCoordinator,
  head,
  KEY,
  RawClient,
  recordingTelemetry,
  SELF,
  silentTraces,
  startGateway,
  USER_HI,
} from './support.ts';

const CHAT = { model: 'chat', messages: USER_HI };

describe('starting', () => {
  it('gives the address that it got', async () => {
    for (const host of ['127.0.0.1', 'localhost', '0.0.0.0']) {
      const { url, port } = await startGateway({ init: { host } });
      expect(url).toBe(`http://127.0.0.1:${port}`);
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
    }
  });

  it('says that a port is taken', async () => {
    const { port } = await startGateway();
    await expect(startGateway({ init: { port } })).rejects.toMatchObject({
      code: 'port_in_use',
      facts: { port: String(port) },
    });
  });

  it('says that an address is not of this machine', async () => {
    await expect(startGateway({ init: { host: '192.0.2.1' } })).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('stopping', () => {
  it('ends streams with an error, answers waiting requests 503, and closes every connection', async () => {
    const { gateway, call, port, url } = await startGateway({
      coordinator: {
        chat: (_request, { signal }, { onDelta }) => {
          onDelta({ choice: 0, text: 'x' });
          // Layers below may know no more than that it was cancelled.
          return ended(signal).catch(() => {
            throw new WeftError({ code: 'cancelled', message: 'Ended.' });
          });
        },
      },
    });
    const idle = new RawClient(port);
    await idle.write(head('GET /v1/models')).until('200 OK');
    const stream = await call('/v1/chat/completions', { ...CHAT, stream: true });
    const waiting = call('/v1/chat/completions', CHAT);
    await until('both requests', () => gateway.requestsInFlight === 2);
    const begunAt = systemClock.now();
    await gateway.stop();
    expect(systemClock.now() - begunAt).toBeLessThan(2_000);
    expect(await stream.text()).toMatch(/"weft_code":"stopping".*\n\n$/);
    expect((await waiting).status).toBe(503);
    await idle.closed;
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    expect(gateway.requestsInFlight).toBe(0);
  });

  it('cuts work that does not end', async () => {
    const { gateway, call } = await startGateway({ coordinator: { chat: () => new Promise(() => undefined) } });
    const waiting = call('/v1/chat/completions', CHAT).catch(() => 'cut');
    await until('the request', () => gateway.requestsInFlight === 1);
    await gateway.stop();
    expect(await waiting).toBe('cut');
  });

  it('may be asked for after a start that failed', async () => {
    const { port } = await startGateway();
    const gateway = new Gateway(
      {
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        telemetry: recordingTelemetry(),
        traces: silentTraces,
        coordinator: fakeCoordinator(),
        conversations: fakeConversations(),
        control: fakeControl(),
        nodes: {
          manage: () => Promise.reject(new Error('not expected in this test')),
          watch: () => Promise.reject(new Error('not expected in this test')),
        },
      },
      {
        host: '127.0.0.1',
        port,
        apiKey: () => KEY,
        origins: () => [],
        nodeId: SELF,
        name: 'desk',
        lenient: () => false,
      },
    );
    await expect(gateway.start()).rejects.toMatchObject({ code: 'port_in_use' });
    await gateway.stop();
  });

  it('may be asked for twice', async () => {
    const { gateway } = await startGateway();
    await Promise.all([gateway.stop(), gateway.stop()]);
    await gateway.stop();
  });
});

describe('addresses', () => {
  it.each([
    ['GET', '/pages', 404],
    ['GET', '/v1', 404],
    ['POST', '/v1/audio/speech', 404],
    ['GET', '/v1/models/', 404],
    ['GET', '/v1/models/../../etc/passwd', 404],
    ['GET', '/%E0%A4%A', 400],
    ['DELETE', '/v1/models', 405],
    ['GET', '/v1/chat/completions', 405],
    ['PUT', '/v1/embeddings', 405],
    ['GET', `/v1/models/${'x'.repeat(5_000)}`, 404],
  ])('that do not exist answer in the shape of an error: %s %s', async (method, path, status) => {
    const { url } = await startGateway();
    const response = await fetch(url + path, { method, headers: { authorization: `Bearer ${KEY}` } });
    expect(response.status).toBe(status);
    const { error } = ErrorBody.parse(await response.json());
    expect(error.message.length).toBeLessThan(1_100);
    expect(response.headers.get('x-request-id')).toBe(error.request_id);
    if (status === 405) expect(response.headers.get('allow')).toMatch(/^(GET, HEAD|POST)$/);
  });

  it('answer HEAD where they answer GET', async () => {
    const { url } = await startGateway();
    const response = await fetch(`${url}/healthz`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

describe('every answer', () => {
  it('has an id of its own, whatever the client asks for, and is not to be kept or guessed at', async () => {
    const { call } = await startGateway();
    const answers = await Promise.all([1, 2].map(() => call('/v1/models', undefined, { 'x-request-id': 'mine' })));
    const ids = answers.map(({ headers }) => headers.get('x-request-id'));
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^req_[0-9a-z]{24}$/);
    expect(answers[0]?.headers.get('cache-control')).toBe('no-store');
    expect(answers[0]?.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('is counted by endpoint and status, not by what the client typed', async () => {
    const { call, telemetry } = await startGateway();
    await call('/v1/models/owner%2Fchat-model');
    await call('/no/such/address');
    await until('both', () => telemetry.counted.length === 2);
    expect(telemetry.counted.map(({ labels }) => labels)).toEqual([
      { endpoint: '/v1/models/*', method: 'GET', status: '200' },
      { endpoint: 'unknown', method: 'GET', status: '404' },
    ]);
  });

  it('leaves no prompt, key or answer in the log', async () => {
    const { call, log } = await startGateway({
      coordinator: {
        chat: async (_request, _options, { onDelta }) => {
          onDelta({ choice: 0, text: 'secret answer' });
          return chatResult();
        },
      },
    });
    const messages = [{ role: 'user', content: 'secret prompt' }];
    await (await call('/v1/chat/completions', { model: 'chat', messages, stream: true })).text();
    await call('/v1/chat/completions', { model: 'chat', messages, temperature: 3 });
    await call('/v1/models', undefined, { authorization: 'Bearer secret-key' });
    expect(log.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(log.lines)).not.toContain('secret');
  });
});
