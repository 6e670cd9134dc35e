// A list of thousands, through the page of the log: only what is seen stands in the document, both ends are reached by keyboard, and its
// end is followed only while one is there.
import { expect, it } from 'vitest';
import { describeWithBrowser, openPage } from '../support/page.ts';
import { startRecordedNode } from '../support/recorded-node.ts';
import { until } from '../support/wait.ts';

const line = (at: number) => ({ atMs: 1_700_000_000_000 + at, level: 'info', message: `line ${at}`, fields: {} });

/** More rows than this are not what is seen. */
const ROWS_MAX = 100;

async function openLog(count: number) {
  const node = await startRecordedNode({
    answers: { 'GET /api/v1/logs': { lines: Array.from({ length: count }, (_, at) => line(at)) } },
  });
  const { page } = await openPage({ daemon: node, path: '/logs' });
  const list = page.getByRole('region', { name: 'Lines of the log' });
  const row = (at: number) => list.getByText(`line ${at}`, { exact: true });
  /** In the window, not only in the document. */
  const seen = (at: number) =>
    until(`line ${at} in sight`, async () => {
      if ((await row(at).count()) === 0) return undefined;
      return (await list.evaluate(
        (element, text) =>
          [...element.querySelectorAll('li')].some((item) => {
            const { top, bottom } = item.getBoundingClientRect();
            const frame = element.getBoundingClientRect();
            return item.textContent.includes(text) && bottom > frame.top && top < frame.bottom;
          }),
        `line ${at}`,
      ))
        ? true
        : undefined;
    });
  return { node, page, list, row, seen };
}

describeWithBrowser('a list of thousands', () => {
  it('has only what is seen in the document, and both its ends are reached by keyboard', async () => {
    const { node, page, list, seen } = await openLog(10_000);
    await using _node = node;
    await seen(9_999);
    const rows = list.getByRole('listitem');
    expect(await rows.count()).toBeLessThan(ROWS_MAX);
    await list.focus();
    await page.keyboard.press('Home');
    await seen(0);
    expect(await rows.count()).toBeLessThan(ROWS_MAX);
    await page.keyboard.press('PageDown');
    await page.keyboard.press('End');
    await seen(9_999);
    expect(await rows.count()).toBeLessThan(ROWS_MAX);
  });

  it('follows its end only while one is there', async () => {
    const { node, page, list, row, seen } = await openLog(10_000);
    await using _node = node;
    await seen(9_999);
    node.emit('log', line(10_000));
    await seen(10_000);
    await list.press('Home');
    await seen(0);
    node.emit('log', line(10_001));
    await page.getByText('10,002 lines').waitFor();
    expect(await list.evaluate((element) => element.scrollTop)).toBe(0);
    expect(await row(10_001).count()).toBe(0);
    await list.press('End');
    await seen(10_001);
    node.emit('log', line(10_002));
    await seen(10_002);
  });

  it('stands still under a reader while its oldest rows are let go', async () => {
    const { node, page, list, row, seen } = await openLog(20_000);
    await using _node = node;
    await seen(19_999);
    await list.evaluate((element) => {
      element.scrollTop -= 3_000;
    });
    await row(19_999).waitFor({ state: 'detached' });
    const read = Number(
      (
        await list
          .getByText(/^line \d+$/)
          .nth(20)
          .textContent()
      )?.slice('line '.length),
    );
    const top = () => row(read).evaluate((element) => element.getBoundingClientRect().top);
    await seen(read);
    const before = await top();
    for (let at = 20_000; at < 20_010; at += 1) node.emit('log', line(at));
    await page.getByText('The oldest 10 were dropped here').waitFor();
    expect(await top()).toBe(before);
  });
});
