// `npm run screens`: pictures of the pages for the documentation, into docs/screens/. A mesh of three real nodes that has had some
// requests, in Chromium; `npm run build` comes first.
import { mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { CHROMIUM, signInByKey } from '../support/chromium.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, startDaemon } from '../support/daemon.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screens/', import.meta.url));
const NAMES = ['studio', 'laptop', 'attic'];

/** For plots and fonts; a picture, not a test. */
const SETTLE_MS = 1_500;

interface Look {
  readonly width: number;
  readonly height: number;
  readonly theme: 'light' | 'dark';
}

const WIDE: Look = { width: 1280, height: 800, theme: 'light' };
const DARK: Look = { ...WIDE, theme: 'dark' };
const NARROW: Look = { width: 360, height: 740, theme: 'light' };

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly looks: readonly Look[];
}

async function post<Answer>({ url, key }: Daemon, path: string, body: unknown): Promise<Answer> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

async function get<Answer>({ url, key }: Daemon, path: string): Promise<Answer> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
  return (await response.json()) as Answer;
}

/** A mesh that looks lived in. @returns the pages to be shown */
async function livedIn(daemons: readonly Daemon[]): Promise<Shot[]> {
  const [here] = daemons as [Daemon];
  for (const text of ['The capital of France is', 'A mesh of small machines can', 'Name three rivers.']) {
    await Promise.all(
      daemons.map((daemon) =>
        post(daemon, '/v1/chat/completions', {
          model: 'smollm2',
          messages: [{ role: 'user', content: text }],
          max_tokens: 48,
        }),
      ),
    );
  }
  await post(here, '/v1/embeddings', { model: 'minilm', input: ['weaving', 'a loom', 'the sea'] });
  const { id } = await post<{ id: string }>(here, '/api/v1/conversations', {
    model: 'smollm2',
    settings: { temperature: 0, maxTokens: 96 },
  });
  const { answer } = await post<{ answer: { id: string } }>(here, `/api/v1/conversations/${id}/messages`, {
    content: 'Why do several small machines sometimes beat one large one?',
  });
  await (
    await fetch(`${here.url}/api/v1/conversations/${id}/messages/${answer.id}/stream`, {
      headers: { authorization: `Bearer ${here.key}` },
    })
  ).text();
  const { requests } = await get<{ requests: { requestId: string; model?: string }[] }>(
    here,
    '/api/v1/requests?limit=20',
  );
  const traced = requests.find(({ model }) => model?.includes('SmolLM2'))?.requestId ?? '';
  const { models } = await get<{ models: { id: string }[] }>(here, '/api/v1/models');
  const encoder = models.find(({ id: model }) => model.includes('MiniLM'))?.id ?? '';
  return [
    { name: 'overview', path: '/', looks: [WIDE, DARK, NARROW] },
    { name: 'chat', path: `/chat/${id}`, looks: [WIDE, DARK, NARROW] },
    { name: 'models', path: '/models', looks: [WIDE, NARROW] },
    { name: 'model', path: `/models/${encoder}`, looks: [WIDE] },
    { name: 'try', path: '/try', looks: [WIDE] },
    { name: 'nodes', path: '/nodes', looks: [WIDE] },
    { name: 'node', path: `/nodes/${daemons[1]?.node}`, looks: [WIDE] },
    { name: 'requests', path: '/requests', looks: [WIDE] },
    { name: 'request', path: `/requests/${traced}`, looks: [WIDE, DARK, NARROW] },
    { name: 'access', path: '/access', looks: [WIDE] },
    { name: 'settings', path: '/settings', looks: [WIDE] },
    { name: 'logs', path: '/logs', looks: [WIDE] },
    { name: 'doctor', path: '/doctor', looks: [WIDE] },
  ];
}

const daemons: Daemon[] = [];
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  for (const name of NAMES) daemons.push(await startDaemon({ env: { WEFT_NAME: name } }));
  const [here, ...others] = daemons as [Daemon, ...Daemon[]];
  for (const other of others) await pair(here, other);
  for (const daemon of daemons) await connectedPeers(daemon, NAMES.length - 1);
  const shots = await livedIn(daemons);
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  for (const look of [WIDE, DARK, NARROW]) {
    const { width, height, theme } = look;
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: theme,
      reducedMotion: 'reduce',
      locale: 'en-GB',
    });
    await signInByKey(context, here);
    for (const { name, path } of shots.filter(({ looks }) => looks.includes(look))) {
      const page = await context.newPage();
      await page.goto(`${here.url}/#${path}`);
      await page.locator('[data-page-title]').first().waitFor();
      // Pages say so while they read what they show.
      await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
      await page.waitForTimeout(SETTLE_MS);
      const file = `${name}-${width}-${theme}.png`;
      await page.screenshot({ path: `${FOLDER}${file}` });
      console.log(file);
      await page.close();
    }
    await context.close();
  }
} finally {
  await browser.close();
  await Promise.all(daemons.map((daemon) => daemon.stop()));
}
