// Every view in the states that a real mesh brings about seldom or slowly: before the node has answered, when it answers with a failure,
// on a node that is alone and has done nothing, in a mesh of fifty nodes, and in front of an older node that has less to say. In each a
// view has its title, tells the state in words, shows nothing that is no text for people, and fits the screen.
import type { Page } from 'playwright-core';
import { beforeAll, expect, it } from 'vitest';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { nodeId, RECORDED, recordedMesh } from '../support/recorded-answers.ts';
import { startRecordedNode } from '../support/recorded-node.ts';
import { until } from '../support/wait.ts';

const MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

/** Of one node: paths behind `#`. */
const VIEWS = [
  '/',
  '/chat',
  '/models',
  `/models/${MODEL}`,
  '/try/text',
  '/try/embeddings',
  '/try/tensors',
  '/nodes',
  '/requests',
  '/access',
  '/settings',
  '/logs',
  '/doctor',
] as const;

const WIDTHS = [1280, 360] as const;

/** What the node is asked for, but for the session and the events. */
const ANSWERS = /\/api\/v1\/(?!session|events)/;

async function go(page: Page, path: string): Promise<void> {
  await page.evaluate((hash) => {
    const { location } = globalThis as unknown as { location: { hash: string } };
    location.hash = hash;
  }, path);
  await page.locator('[data-page-title]').first().waitFor();
}

const loading = (page: Page) => page.locator('main').getByRole('status', { name: /^Loading/ });

/** No word of a program stands in the view, and nothing beyond the screen. */
async function expectReadable(page: Page, path: string): Promise<void> {
  const words = await page.locator('main').innerText();
  expect(words.match(/\b(undefined|NaN|null|Infinity)\b|\[object|Invalid Date/)?.[0], path).toBeUndefined();
  await expectNoSidewaysScroll(page);
}

describeWithBrowser('every view of a node', () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ env: { WEFT_NAME: 'alone' } });
  });

  it.each(WIDTHS)('that is alone and has done nothing says what there is, at %i pixels', async (width) => {
    const { page } = await openPage({ daemon, width });
    for (const path of VIEWS) {
      await go(page, path);
      await until(`${path} to be read`, async () => (await loading(page).count()) === 0);
      expect(await page.locator('main').getByRole('alert').count(), path).toBe(0);
      await expectReadable(page, path);
    }
  });

  it.each(WIDTHS)('that has not answered yet says that it waits, at %i pixels', async (width) => {
    const { page } = await openPage({ daemon, width, path: '/try/text' });
    const answering = Promise.withResolvers<void>();
    await page.route(ANSWERS, async (route) => {
      await answering.promise;
      // What was asked by a view that is gone needs no answer.
      await route.continue().catch(() => undefined);
    });
    await page.reload();
    for (const path of VIEWS) {
      await go(page, path);
      // A new conversation on a narrow screen waits for nothing but its model, which one may write before.
      if (path === '/chat') await page.getByRole('button', { name: 'Model: Model' }).waitFor();
      else await page.locator('main').getByRole('status').filter({ visible: true }).first().waitFor();
      expect(await page.locator('main').getByRole('alert').count(), path).toBe(0);
      await expectReadable(page, path);
    }
    // All of it comes in the end.
    answering.resolve();
    await until('all to be read', async () => (await loading(page).count()) === 0);
  });

  it.each(WIDTHS)('that fails says so and what to do, and comes back by another try, at %i pixels', async (width) => {
    const { page } = await openPage({ daemon, width, expected: [/429/] });
    const error = { type: 'error', message: 'Too much at once.', code: null, weft_code: 'overloaded', remedy: 'Wait.' };
    const alert = page.locator('main').getByRole('alert').filter({ hasText: error.message, visible: true });
    for (const path of VIEWS) {
      await page.route(ANSWERS, (route) => route.fulfill({ status: 429, json: { error } }));
      await page.goto(`${daemon.url}/#${path}`);
      await page.reload();
      await alert.filter({ hasText: error.remedy }).first().waitFor();
      await expectReadable(page, path);
      await page.unroute(ANSWERS);
      await until(`${path} to come back`, async () => {
        const retry = alert.first().getByRole('button', { name: 'Try again' });
        if ((await alert.count()) > 0) await retry.click({ timeout: 1_000 }).catch(() => undefined);
        return (await alert.count()) === 0 && (await loading(page).count()) === 0;
      });
    }
  });
});

describeWithBrowser('every view of a node', () => {
  const many = recordedMesh(50);
  const [request] = RECORDED['GET /api/v1/requests'].requests;
  const answers = {
    ...many,
    'GET /api/v1/requests': {
      requests: Array.from({ length: 600 }, (_, at) => ({
        ...request,
        requestId: `req_${at}`,
        nodes: [nodeId(at % 50)],
      })),
    },
    'GET /api/v1/members': many['GET /api/v1/members'],
  };

  it.each(WIDTHS)('of fifty is drawn and fits, at %i pixels', async (width) => {
    await using node = await startRecordedNode({ answers });
    const { page } = await openPage({ daemon: node, width, theme: 'dark', expected: [/404/] });
    for (const path of [...VIEWS, `/nodes/${nodeId(7)}`]) {
      await go(page, path);
      await until(`${path} to be read`, async () => (await loading(page).count()) === 0);
      await expectReadable(page, path);
      await expectAccessible(page);
    }
  });

  /** An older node knows less of everything, and has fewer endpoints. */
  const LATER = ['sharing', 'invitations', 'history', 'transfers'];

  it.each(WIDTHS)('of an older version shows what it has, at %i pixels', async (width) => {
    const recorded: Record<string, unknown> = { ...RECORDED, ...recordedMesh(3) };
    for (const name of LATER) recorded[`GET /api/v1/${name}`] = undefined;
    await using old = await startRecordedNode({ answers: recorded, eventTypes: ['node', 'model', 'request'] });
    const { page } = await openPage({ daemon: old, width, expected: [/404|400/] });
    for (const path of [...VIEWS, `/nodes/${nodeId(1)}`]) {
      await go(page, path);
      await until(`${path} to be read`, async () => (await loading(page).count()) === 0);
      await page.getByText('This view has failed').waitFor({ state: 'detached' });
      await expectReadable(page, path);
    }
  });
});
