// The log of a node as it is written, filtered and paused, whatever stands in it; and the doctor's report.
import { expect, it } from 'vitest';
import { startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { RecordedFailure, startRecordedNode } from '../support/recorded-node.ts';

const HOSTILE = '\u{1B}[31mred\u{1B}[0m \u{202E}gnp.exe <script>alert(1)</script>\nsecond line';

describeWithBrowser('the log', () => {
  it('of a real node comes by itself, stands still while it is paused, and is examined by the doctor', async () => {
    const daemon = await startDaemon();
    const change = async (keepAlive: string): Promise<void> => {
      const answer = await fetch(`${daemon.url}/api/v1/config`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ keepAlive }),
      });
      expect(answer.status).toBe(200);
    };
    const { page } = await openPage({ daemon, path: '/logs' });
    await page.getByText('the mesh is up').waitFor();
    await expectAccessible(page);
    const written = page.getByText('settings have changed');
    await change('7m');
    await written.first().waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await change('8m');
    await page.getByText('Paused: 1 new line').waitFor();
    expect(await written.count()).toBe(1);
    await page.getByRole('button', { name: 'Go on' }).click();
    await written.nth(1).waitFor();

    await page.goto(`${daemon.url}/#/doctor`);
    await page.locator('[data-doctor="ok"]').waitFor();
    await page.locator('[data-layer="settings"] [data-check="ok"]').first().waitFor();
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.locator('[data-doctor="ok"]').waitFor();
    await expectAccessible(page);
  });

  it('shows all of a hostile line, does nothing of it, and keeps no more than it can hold', async () => {
    const lines = [
      { atMs: Date.now() - 9_000, level: 'info', message: 'a quiet line', fields: {} },
      { atMs: Date.now() - 8_000, level: 'warn', message: HOSTILE, fields: { from: HOSTILE } },
    ];
    await using node = await startRecordedNode({
      answers: {
        'GET /api/v1/logs': { lines },
        'GET /api/v1/doctor': new RecordedFailure(503, 'overloaded', 'Too much at once.', 'Try again.'),
      },
    });
    const { page } = await openPage({ daemon: node, path: '/logs', width: 360, theme: 'dark', expected: [/503/] });
    const line = page.locator('[data-level="warn"]');
    await line.getByRole('button').click();
    await line
      .getByText('⟨U+001B⟩[31mred⟨U+001B⟩[0m ⟨U+202E⟩gnp.exe <script>alert(1)</script>↵second line')
      .first()
      .waitFor();
    expect(await page.evaluate('document.querySelectorAll("main script").length')).toBe(0);
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
    await page.getByRole('searchbox').fill('GNP.exe');
    await page.getByText('a quiet line').waitFor({ state: 'detached' });
    await page.getByRole('searchbox').fill('');
    await page.getByLabel('From level').selectOption('Errors');
    await page.getByText('No line is like that').waitFor();
    await page.getByRole('button', { name: 'Show all lines' }).click();

    for (let at = 0; at < 21_000; at += 1) {
      node.emit('log', { atMs: Date.now(), level: 'info', message: `line ${at}`, fields: {} });
      // As the pages would get them: in pieces, not all in one frame.
      if (at % 1_000 === 999) await page.getByText(`line ${at}`, { exact: true }).waitFor();
    }
    await page.getByText('20,000 lines').waitFor();
    await page.getByText('The oldest 1,002 were dropped here').waitFor();
    expect(await page.locator('[data-level]').count()).toBeLessThan(100);

    await page.goto(`${node.url}/#/doctor`);
    await page.getByText('The node could not be examined').waitFor();
    await page.getByText('Too much at once.').waitFor();
  });
});
