// The browser of page tests, benchmarks and screen shots.
import type { BrowserContext } from 'playwright-core';

/** Debian's, or the one that is named. */
export const CHROMIUM = process.env.WEFT_CHROMIUM ?? '/usr/bin/chromium';

/** Signs a browser in by the API key, as the page's form does. */
export async function signInByKey(
  context: BrowserContext,
  node: { readonly url: string; readonly key: string },
): Promise<void> {
  const answer = await context.request.post(`${node.url}/api/v1/session`, { data: { key: node.key } });
  if (!answer.ok()) throw new Error(`The key was refused: ${answer.status()}`);
}
