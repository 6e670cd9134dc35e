import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import type { DoctorReport } from '../../../node/core/control.ts';
import { fakeDaemon, homeOf, type RecordedContext, recordedContext, refuse } from './fake-daemon.ts';

const SOUND: DoctorReport = {
  ok: true,
  checks: [
    { layer: 'runtime', name: 'Node', status: 'ok', detail: 'Node 26.10.0' },
    { layer: 'runtime', name: 'ONNX Runtime', status: 'ok', detail: 'computes' },
    { layer: 'disk', name: 'free space', status: 'warning', detail: 'little', remedy: 'Free some.' },
  ],
};
const BROKEN: DoctorReport = {
  ok: false,
  checks: [
    ...SOUND.checks,
    { layer: 'peer', name: 'ki\u001b[31mtchen', status: 'failed', detail: 'refused', remedy: 'Start its node.' },
  ],
};

async function weft(home: string, args: readonly string[]): Promise<RecordedContext & { error: unknown }> {
  const context = recordedContext({ env: { WEFT_HOST: '127.0.0.1:0', WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0' } });
  const error = await runProgram([...args, '--home', home], context, '0.0.0').catch((thrown: unknown) => thrown);
  return Object.assign(context, { error });
}

describe('weft doctor with a daemon', () => {
  it('prints what it found, layer by layer, with what to do', async () => {
    await using daemon = await fakeDaemon({ 'GET /api/v1/doctor': SOUND });
    await using home = await homeOf(daemon.url);
    const { error, out } = await weft(home.folder, ['doctor']);
    expect(error).toBeUndefined();
    expect(out()).toBe(
      [
        'runtime  ✓ Node: Node 26.10.0',
        '         ✓ ONNX Runtime: computes',
        'disk     ! free space: little',
        '           → Free some.',
        '',
        '2 fine, 1 to look at, 0 failed; as the running daemon sees it.',
        '',
      ].join('\n'),
    );
  });

  it('ends with a failure when a check failed, also as JSON', async () => {
    await using daemon = await fakeDaemon({ 'GET /api/v1/doctor': BROKEN });
    await using home = await homeOf(daemon.url);
    const text = await weft(home.folder, ['doctor']);
    expect(text.error).toMatchObject({ code: 'internal', message: '1 of 4 checks failed.' });
    expect(text.out()).toContain('peer     ✗ ki\u{fffd}[31mtchen: refused');
    const json = await weft(home.folder, ['doctor', '--json']);
    expect(json.error).toMatchObject({ code: 'internal' });
    expect(JSON.parse(json.out())).toEqual({ from: 'daemon', ...BROKEN });
  });

  it('looks from outside when the daemon does not answer, and says so', async () => {
    await using daemon = await fakeDaemon({
      'GET /api/v1/doctor': (_body, response) => refuse(response, 500, 'internal', 'It is broken.'),
    });
    await using home = await homeOf(daemon.url);
    const { error, out } = await weft(home.folder, ['doctor', '--json']);
    expect(error).toMatchObject({ code: 'internal' });
    const report = JSON.parse(out()) as DoctorReport & { from: string };
    expect(report).toMatchObject({ from: 'outside', ok: false });
    expect(report.checks[0]).toMatchObject({ layer: 'daemon', status: 'failed', detail: 'It is broken.' });
    expect(report.checks.map(({ layer }) => layer)).toContain('models');
  });
});

describe('weft doctor without a daemon', () => {
  it('sees what can be seen, and leaves the folder as it is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-cli-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const { error, out } = await weft(folder, ['doctor', '--json']);
    expect(error).toBeUndefined();
    const { checks } = JSON.parse(out()) as DoctorReport;
    expect(checks[0]).toMatchObject({ layer: 'daemon', status: 'skipped' });
    expect(checks.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('names the line of settings that are wrong, and goes on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-cli-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'settings.json'), '{\n  "thread": 2\n}');
    const { error, out } = await weft(folder, ['doctor']);
    expect(error).toMatchObject({ message: expect.stringMatching(/^1 of \d+ checks failed/) });
    expect(out()).toMatch(/settings +✗ settings\.json: .*line 2, column 3, has an unknown setting "thread"/);
    expect(out()).toContain('ONNX Runtime: version');
  });
});
