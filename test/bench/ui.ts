// The pages in a browser: how soon the first view of a real node is there, how long an event takes to the screen while a mesh of
// fifty nodes has 200 of them a second, and what an hour of events leaves in memory.
import { gzipSync } from 'node:zlib';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { CHROMIUM, signInByKey } from '../support/chromium.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { pair, startDaemon } from '../support/daemon.ts';
import { nodeId, pulseAt, recordedMesh } from '../support/recorded-answers.ts';
import { type RecordedNode, startRecordedNode } from '../support/recorded-node.ts';
import { until } from '../support/wait.ts';
import { type Benchmark, median } from './harness.ts';

const NODES = 50;
const EVENTS_PER_SECOND = 200;
/** Every tenth event is one whose appearance is looked for. */
const MARK_EVERY = 10;
const WATCHED_SECONDS = 15;
const TICK_MS = 20;

/** An hour: a pulse a second, ten requests a second with three events each. */
const HOUR_SECONDS = 3_600;
const REQUESTS_PER_SECOND = 10;
/** Buffers of a fixed size are full after so much of it: growth is what comes then. */
const FILLED_SECONDS = 600;
/** Seconds of the hour that are sent together. */
const STRIDE_SECONDS = 6;

export const ui: Benchmark = {
  name: 'ui',
  summary: 'the pages in Chromium: first view, an event to the screen at 50 nodes, memory after an hour of events',
  async run({ rounds, say }) {
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--enable-precise-memory-info'],
    });
    try {
      const first = await firstViews(browser, rounds);
      say(
        `  first view: ${first.times.map((ms) => ms.toFixed(0)).join(' ')} ms, ${first.scriptKb.toFixed(0)} kB of JavaScript`,
      );
      const painted = await eventsToPaint(browser);
      say(`  ${painted.length} marked events reached the screen`);
      const growthMb = await hour(browser, say);
      return {
        figures: {
          first_view_ms_p50: median(first.times),
          js_kb_gzip_first_view: first.scriptKb,
          event_to_paint_ms_p50: median(painted),
          event_to_paint_ms_p95: [...painted].sort((a, b) => a - b)[Math.floor(0.95 * painted.length)] ?? Number.NaN,
          heap_growth_hour_mb: growthMb,
        },
        samples: { first_view_ms: first.times, event_to_paint_ms: painted },
      };
    } finally {
      await browser.close();
    }
  },
};

/** Each in a context of its own: nothing is in its cache. */
async function firstViews(browser: Browser, rounds: number) {
  // It has a name: nobody has to be asked for one first.
  const daemon = await startDaemon({ env: { WEFT_NAME: 'bench' } });
  const other = await startDaemon({ env: { WEFT_NAME: 'other' } });
  await pair(daemon, other);
  await connectedPeers(daemon, 1);
  try {
    const times: number[] = [];
    let scriptKb = 0;
    for (let round = 0; round < rounds; round++) {
      const context = await browser.newContext();
      await signInByKey(context, daemon);
      const page = await context.newPage();
      const scripts: Promise<Buffer>[] = [];
      page.on('response', (response) => {
        if (response.url().endsWith('.js')) scripts.push(response.body());
      });
      const beganMs = performance.now();
      await page.goto(daemon.url);
      // The view with what the node says of itself and of its mesh, not a frame around nothing.
      await page.getByText(daemon.name).first().waitFor();
      await page.locator('[data-page-title]').first().waitFor();
      await page.locator('.react-flow__node').first().waitFor();
      times.push(performance.now() - beganMs);
      const sizes = (await Promise.all(scripts)).map((script) => gzipSync(script, { level: 9 }).byteLength);
      scriptKb = sizes.reduce((sum, bytes) => sum + bytes, 0) / 1_000;
      await context.close();
    }
    return { times, scriptKb };
  } finally {
    await Promise.all([daemon.stop(), other.stop()]);
  }
}

async function opened(
  browser: Browser,
  node: RecordedNode,
): Promise<{ readonly page: Page; readonly context: BrowserContext }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(node.url);
  await page.locator('[data-page-title]').first().waitFor();
  await until('the page watches', () => node.watchers > 0);
  return { page, context };
}

/** Milliseconds from the sending of marked events to the frame in which they are on the screen. */
async function eventsToPaint(browser: Browser): Promise<number[]> {
  await using node = await startRecordedNode({ answers: recordedMesh(NODES) });
  const { page, context } = await opened(browser, node);
  await page.evaluate(WATCH_MARKS);
  const sent = new Map<string, number>();
  const all = WATCHED_SECONDS * EVENTS_PER_SECOND;
  let next = 0;
  const beganMs = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(all, Math.floor(((performance.now() - beganMs) / 1_000) * EVENTS_PER_SECOND));
      for (; next < due; next++) sendOne(node, next, sent);
      if (next < all) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  const seen = await until('the last mark on the screen', async () => {
    const marks = (await page.evaluate('globalThis.seenMarks')) as Record<string, number>;
    return Object.keys(marks).length >= sent.size * MARKS_SEEN_MIN ? marks : undefined;
  });
  await context.close();
  return Object.entries(seen).map(([mark, atMs]) => atMs - (sent.get(mark) ?? Number.NaN));
}

/** Of the marks: a request may have been pushed off its card by later ones before a frame came. */
const MARKS_SEEN_MIN = 0.9;

/** Notes when text like `mark-17` is on the screen: in the frame behind the change. */
const WATCH_MARKS = `(() => {
  globalThis.seenMarks = {};
  const look = () => {
    const marks = [...new Set(document.body.innerText.match(/mark-\\d+/g) ?? [])].filter((mark) => !(mark in globalThis.seenMarks));
    if (marks.length > 0) requestAnimationFrame(() => {
      const now = Date.now();
      for (const mark of marks) globalThis.seenMarks[mark] ??= now;
    });
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
})()`;

function sendOne(node: RecordedNode, index: number, sent: Map<string, number>): void {
  const isMark = index % MARK_EVERY === 0;
  const mark = `mark-${index / MARK_EVERY}`;
  const of = {
    requestId: `req_${index}`,
    name: 'POST /v1/embeddings',
    model: isMark ? `owner/${mark}` : 'owner/usual',
  };
  if (isMark) sent.set(mark, Date.now());
  node.emit('request', { ...of, phase: 'begun' });
  if (index % EVENTS_PER_SECOND === 0) node.emit('pulse', pulseAt(0));
}

/** @returns megabytes of the page's heap, collected, that the hour adds once its buffers are full */
async function hour(browser: Browser, say: (line: string) => void): Promise<number> {
  const mesh = recordedMesh(NODES);
  await using node = await startRecordedNode({ answers: mesh });
  const { page, context } = await opened(browser, node);
  const session = await context.newCDPSession(page);
  const heapMb = async (): Promise<number> => {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    return usedSize / 1e6;
  };
  let filledMb = 0;
  for (let second = 0; second < HOUR_SECONDS; second += STRIDE_SECONDS) {
    for (let at = second; at < second + STRIDE_SECONDS; at++) {
      node.emit('pulse', pulseAt(HOUR_SECONDS - at, mesh['GET /api/v1/peers'].peers));
      for (let index = 0; index < REQUESTS_PER_SECOND; index++) wholeRequest(node, at * REQUESTS_PER_SECOND + index);
    }
    // As quickly as the page takes them.
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
    if (second === FILLED_SECONDS) filledMb = await heapMb();
  }
  const endMb = await heapMb();
  say(`  heap: ${filledMb.toFixed(1)} MB when its buffers were full, ${endMb.toFixed(1)} MB after an hour`);
  await context.close();
  return endMb - filledMb;
}

function wholeRequest(node: RecordedNode, index: number): void {
  const of = { requestId: `req_h${index}`, name: 'POST /v1/chat/completions', model: 'owner/usual' };
  const nodes = [nodeId(index % NODES)];
  node.emit('request', { ...of, phase: 'begun' });
  node.emit('request', { ...of, phase: 'placed', plan: 'remote', nodes, predictedMs: 120 });
  node.emit('request', {
    ...of,
    phase: 'ended',
    status: 'ok',
    durationMs: 130,
    promptTokens: 20,
    completionTokens: 40,
    nodes,
  });
}
