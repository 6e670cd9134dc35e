// A page of a node in Debian's Chromium, for the tests of the project `ui`: signed in, watched for errors, closed with the test. Where
// there is no Chromium those tests skip themselves and say so.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, describe, expect } from 'vitest';
import { CHROMIUM } from './chromium.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Heights of the two widths that are looked at. */
const HEIGHTS: Readonly<Record<number, number>> = { 1280: 800, 360: 740 };

/** Use it in place of `describe`: without a browser the tests are listed as skipped. */
export const describeWithBrowser = describe.skipIf(!existsSync(CHROMIUM));

export interface OpenedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the console and the content security policy have said so far that should not be. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

export interface PageInit {
  /** A real daemon or a recorded node. */
  readonly daemon: { readonly url: string; readonly key: string; readonly beforeEnd?: Set<() => Promise<void>> };
  /** Behind `#`. @default '/' */
  readonly path?: string;
  /** Pixels. @default 1280 */
  readonly width?: number;
  /** @default 'light' */
  readonly theme?: 'light' | 'dark';
  /** @default true */
  readonly signIn?: boolean;
  /** Problems that the test itself brings about, such as answers with an error. */
  readonly expected?: readonly RegExp[];
  /** Put into the page before its own scripts, such as a stand-in for `window.weft`. */
  readonly script?: string;
}

let browser: Promise<Browser> | undefined;
const open = new Set<OpenedPage>();

/**
 * Opens a page and waits for the view. Violations of the policy reach the console as errors. Pages that are left open are
 * closed, and judged, when their recorded node or the test file ends.
 */
export async function openPage(init: PageInit): Promise<OpenedPage> {
  const { daemon, path = '/', width = 1280, theme = 'light', signIn = true, expected = [], script } = init;
  browser ??= chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const context = await (await browser).newContext({
    viewport: { width, height: HEIGHTS[width] ?? 800 },
    colorScheme: theme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
  });
  if (signIn) await signInBy(context, daemon);
  if (script !== undefined) await context.addInitScript(script);
  const problems: string[] = [];
  const note = (problem: string): void => {
    if (!expected.some((pattern) => pattern.test(problem))) problems.push(problem);
  };
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') note(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => note(String(error.stack ?? error)));
  await page.goto(`${daemon.url}/#${path}`);
  if (signIn) await page.locator('[data-page-title]').first().waitFor();
  const opened: OpenedPage = {
    page,
    context,
    problems,
    async close() {
      daemon.beforeEnd?.delete(opened.close);
      if (!open.delete(opened)) return;
      await context.close();
      expect(problems, 'errors in the console of the page').toEqual([]);
    },
  };
  open.add(opened);
  daemon.beforeEnd?.add(opened.close);
  return opened;
}

/** No finding of axe-core that is serious or critical, in the page as it stands. */
export async function expectAccessible(page: Page): Promise<void> {
  // Evaluated, not added as a script element: the page's own policy holds for those.
  await page.evaluate(await readFile(AXE, 'utf8'));
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { readonly axe: { run(): Promise<{ violations: AxeViolation[] }> } };
    return (await axe.run()).violations;
  });
  const grave = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, help, nodes }) =>
        `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`).join('\n')}`,
    );
  expect(grave, 'findings of axe-core').toEqual([]);
}

/** Nothing is wider than the window: pages scroll down, not sideways. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const excess = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  expect(excess, 'pixels beyond the right edge').toBeLessThanOrEqual(0);
}

interface AxeViolation {
  readonly id: string;
  readonly impact?: string | null;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** By a one-time link, as `weft dashboard` does it; the cookie then lies in the context. Recorded nodes may have none to give. */
async function signInBy(context: BrowserContext, { url, key }: PageInit['daemon']): Promise<void> {
  const response = await fetch(`${url}/api/v1/session/link`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{}',
  });
  if (!response.ok) return;
  const { url: link } = (await response.json()) as { readonly url: string };
  const token = link.slice(link.lastIndexOf('/') + 1);
  const answer = await context.request.post(`${url}/api/v1/session`, { data: { token } });
  if (!answer.ok()) throw new Error(`The one-time link was refused: ${answer.status()} ${await answer.text()}`);
}

/** Closes every page and the browser, also where a test failed. */
async function closeAll(): Promise<void> {
  const left = [...open];
  open.clear();
  const problems = left.flatMap((opened) => opened.problems);
  await Promise.all(left.map(({ context }) => context.close()));
  await (await browser)?.close();
  browser = undefined;
  expect(problems, 'errors in the console of pages').toEqual([]);
}

// vitest ends its workers without an exit event. Registered before any hook of the test file, this runs after them.
afterAll(closeAll);
