// Asking where a request would go and why, before it is made and behind it, and giving it a deadline: on two real daemons, one
// that works too and one that asks.
import { beforeAll, describe, expect, it } from 'vitest';
import type { PlanAnswer, ReplayAnswer, RequestAnswer, RequestsAnswer } from '../../protocol/api/control.ts';
import { weft } from '../support/asked.ts';
import { clientOf } from '../support/chat.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, startDaemon, ticketOf } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

/** Of a batch: enough to be worth spreading. */
const TEXTS = 400;

const TEXT = 'The river was quiet when the garden opened again.';

let worker: Daemon;
let edge: Daemon;
/** Of a request that the edge has placed. */
let requestId: string;

const json = async <Answer>(...args: string[]): Promise<Answer> =>
  JSON.parse(await weft(edge, ...args, '--json')) as Answer;

const embed = (headers: Record<string, string> = {}) =>
  clientOf(edge)
    .embeddings.create({ model: 'minilm', input: TEXT, encoding_format: 'float' }, { headers })
    .withResponse();

beforeAll(async () => {
  worker = await startDaemon({ env: { WEFT_NAME: 'worker' } });
  edge = await startDaemon({ env: { WEFT_NAME: 'edge' } });
  // Each knows how fast it is itself before they meet: what was never measured is tried, whatever its price. The first is cold.
  for (const daemon of [worker, edge]) {
    for (let count = 0; count < 3; count++) await clientOf(daemon).embeddings.create({ model: 'minilm', input: TEXT });
  }
  await pair(worker, edge);
  await connectedPeers(edge, 1);
  await until('measurements of both', async () => {
    const { plan } = await json<PlanAnswer>('plan', 'minilm', '--input', TEXT);
    return plan.others.length === 1 && [plan, ...plan.others].every(({ samples = 0 }) => samples > 0);
  });
  const { response } = await embed({ 'x-weft-priority': 'batch', 'x-weft-deadline-ms': '120000' });
  requestId = response.headers.get('x-request-id') ?? '';
  return async () => {
    await Promise.all([worker.stop(), edge.stop()]);
  };
});

describe('weft plan', () => {
  it('shows the chosen node and the other one, each with its priced parts, and runs nothing', async () => {
    const before = (await json<RequestsAnswer>('trace')).requests.length;
    const shown = await weft(edge, 'plan', 'minilm', '--input', TEXT);
    expect(shown).toMatch(/^Xenova\/all-MiniLM-L6-v2 · encode · \d+ tokens in\n\n {3}NODE +TOTAL +QUEUE +LOAD +UP/);
    expect(shown).toMatch(/^→ {2}(worker|edge \(here\)) +[\d.]+ m?s/m);
    expect(shown).toMatch(/^ {3}(worker|edge \(here\)) +[\d.]+ m?s/m);
    const { plan, inputTokens } = await json<PlanAnswer>('plan', 'minilm', '--input', TEXT);
    expect(inputTokens).toBeGreaterThan(5);
    expect(['local', 'remote']).toContain(plan.kind);
    const nodes = ['node' in plan ? plan.node : '', ...plan.others.map(({ node }) => node)];
    expect(nodes.toSorted()).toEqual([worker.node, edge.node].toSorted());
    for (const { price } of [plan, ...plan.others]) {
      const { totalMs, ...parts } = price;
      expect(Object.values(parts).reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(totalMs, 3);
    }
    expect((await json<RequestsAnswer>('trace')).requests.length).toBe(before);
  });

  it('names who can not do it, and why', async () => {
    const idle = await startDaemon({
      env: { WEFT_NAME: 'idle' },
      args: ['--offer', 'none', '--join', await ticketOf(worker)],
    });
    try {
      const rejected = await until('the third among those who can not', async () => {
        const { plan } = await json<PlanAnswer>('plan', 'smollm2', '--input', TEXT, '--max-tokens', '8');
        return plan.rejected.find(({ node }) => node === idle.node);
      });
      expect(rejected.reason).not.toBe('');
      expect(await weft(edge, 'plan', 'smollm2', '--input', TEXT)).toContain(`not idle: ${rejected.reason}\n`);
    } finally {
      await idle.stop();
    }
  });
});

describe('a deadline', () => {
  it('that nobody can meet is refused at once, with the time that it would take and when to try again', async () => {
    const refused = await embed({ 'x-weft-deadline-ms': '1' }).then(
      () => undefined,
      (error: unknown) => error as { status: number; headers: Headers; error: Record<string, unknown> },
    );
    expect(refused).toMatchObject({ status: 503, error: { weft_code: 'deadline_unmeetable' } });
    const quotedMs = Number(refused?.error.quoted_ms);
    expect(quotedMs).toBeGreaterThan(1);
    expect(refused?.headers.get('x-weft-quoted-ms')).toBe(String(quotedMs));
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const { deadline } = await json<PlanAnswer>('plan', 'minilm', '--input', TEXT, '--deadline', '1ms');
    expect(deadline).toMatchObject({ deadlineMs: 1, meetable: false, quotedMs: expect.any(Number) });
  });

  it('on the command line ends with what to type instead, or with the answer', async () => {
    const { code, stdout, stderr } = await edge.weft('embed', 'minilm', TEXT, '--deadline', '1');
    expect([code, stdout]).toEqual([7, '']);
    expect(stderr).toMatch(/The answer would take \d+ ms.*\n {2}do: {2}Allow more time, as with --deadline \w+/);
    expect(await weft(edge, 'embed', 'minilm', TEXT, '--deadline', '2m', '--priority', 'batch')).toMatch(/^384 values/);
  });
});

describe('an earlier request', () => {
  it('shows what was predicted beside what was measured', async () => {
    const shown = await weft(edge, 'trace', requestId);
    expect(shown).toContain('POST /v1/embeddings · Xenova/all-MiniLM-L6-v2 · ok');
    expect(shown).toMatch(/^PART +NODE +BEGAN +MEASURED +PREDICTED$/m);
    const { spans, plans } = await json<RequestAnswer>('trace', requestId);
    const compute = spans.find(({ name }) => name === 'compute');
    expect(compute?.durationMs).toBeGreaterThan(0);
    expect(compute?.predictedMs).toBeGreaterThan(0);
    expect(plans.length).toBe(1);
  });

  it.each(['round-robin', 'prequal', 'weft'])('is decided again on what was known then, by %s', async (policy) => {
    const { placements, ...answer } = await json<ReplayAnswer>('plan', '--replay', requestId, '--policy', policy);
    expect(answer).toMatchObject({ requestId, status: 'ok', policy });
    expect(placements.length).toBe(1);
    const [placement] = placements;
    expect(placement?.measured.computeMs).toBeGreaterThan(0);
    const chosen = placement?.new;
    expect([worker.node, edge.node]).toContain(chosen !== undefined && 'node' in chosen ? chosen.node : '');
    const shown = await weft(edge, 'plan', '--replay', requestId, '--policy', policy);
    expect(shown).toMatch(/^measured +(worker|edge \(here\))/m);
    expect(shown).toMatch(new RegExp(`^${policy} chooses (the same|another) node\\.$`, 'm'));
  });
});

describe('a batch of texts', () => {
  it('tells watchers how far it is where both nodes do it, and nothing where one does', async () => {
    const texts = Array.from({ length: TEXTS }, (_, at) => `${TEXT} ${TEXT.repeat(at % 7)}`);
    const controller = new AbortController();
    const watched = await fetch(`${edge.url}/api/v1/events?types=request`, {
      headers: { authorization: `Bearer ${edge.key}` },
      signal: controller.signal,
    });
    const decoder = new TextDecoder();
    let text = '';
    const reading = (async () => {
      for await (const chunk of watched.body ?? []) text += decoder.decode(chunk, { stream: true });
    })().catch(() => undefined);
    const { data, response } = await clientOf(edge).embeddings.create({ model: 'minilm', input: texts }).withResponse();
    const id = response.headers.get('x-request-id');
    const told = await until('the end of the request among the events', () => {
      const blocks = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').data);
      const own = blocks.filter(({ requestId: one }) => one === id);
      return own.some(({ phase }) => phase === 'ended') ? own : undefined;
    });
    controller.abort();
    await reading;
    const steps = told.filter(({ phase }) => phase === 'progress').map(({ done, total }) => [done, total]);
    const { plan } = (data as unknown as { readonly weft: { readonly plan: { readonly kind: string } } }).weft;
    expect(steps.at(-1)).toEqual(plan.kind === 'scatter' ? [TEXTS, TEXTS] : undefined);
    for (const [at, [done]] of steps.entries()) expect(done).toBeGreaterThan(at === 0 ? 0 : (steps[at - 1]?.[0] ?? 0));
  });
});
