// `weft doctor`: looks layer by layer at why something doesn't work, and says what to do. The running daemon looks where
// there is one; else, and where it doesn't answer, this process sees what can be seen from outside.
import { join } from 'node:path';
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import { homeFolder } from '../../config/home.ts';
import { loadSettings, type Settings } from '../../config/settings.ts';
import type { DoctorCheck, DoctorReport } from '../../core/control.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, endSoon, type Output, printJson } from '../context.ts';
import { printable } from '../format.ts';
import { VERSION } from '../version.ts';

interface Options extends ClientOptions {
  readonly json?: true;
}

/** Each check has a deadline of its own, the longest 15 s; they run side by side. */
const DOCTOR_MS_MAX = 30_000;

export function define(command: Command, context: CommandContext): void {
  command
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder (WEFT_HOME)')
    .action((options: Options) => examine(options, context));
}

async function examine(options: Options, context: CommandContext): Promise<void> {
  const { report, from } = await examined(options, context);
  if (options.json) printJson(context, { from, ...report });
  else print(report, from, context);
  const failures = report.checks.filter(({ status }) => status === 'failed').length;
  if (failures === 0) return;
  throw new WeftError({
    code: 'internal',
    message: `${failures} of ${report.checks.length} checks failed.`,
    remedy: 'Begin with the first: later layers stand on earlier ones.',
  });
}

interface Examined {
  readonly report: DoctorReport;
  readonly from: 'daemon' | 'outside';
}

async function examined(options: Options, context: CommandContext): Promise<Examined> {
  let daemon: DoctorCheck;
  try {
    const { client } = await connect(context, options);
    const calls = { signal: context.signal, timeoutMs: DOCTOR_MS_MAX };
    return { report: await client.get<DoctorReport>('/api/v1/doctor', calls), from: 'daemon' };
  } catch (error) {
    const { code, message, remedy } = toWeftError(error);
    if (context.signal.aborted) throw error;
    // That there is none is no fault; one that runs and doesn't answer is.
    const status = code === 'daemon_not_running' ? 'skipped' : 'failed';
    daemon = { layer: 'daemon', name: 'API', status, detail: message, remedy };
  }
  const report = await outside(options, context);
  return {
    report: { ok: report.ok && daemon.status !== 'failed', checks: [daemon, ...report.checks] },
    from: 'outside',
  };
}

async function outside(options: Options, context: CommandContext): Promise<DoctorReport> {
  const home = homeFolder({ env: context.env, asked: options.home });
  const { settings, settingsProblem } = settingsOf(home, context);
  const [{ examineOffline }, { packagePaths }, { systemClock }] = await Promise.all([
    import('../../app/doctor/offline.ts'),
    import('../../app/paths.ts'),
    import('../../core/clock.ts'),
  ]);
  try {
    const init = { home, settings, settingsProblem, version: VERSION, paths: packagePaths() };
    return await examineOffline({ clock: systemClock }, init, context.signal);
  } finally {
    endSoon(context);
  }
}

/** The settings of the next start; where there are none because something is wrong with them, the defaults. */
function settingsOf(
  home: string,
  { env }: CommandContext,
): { readonly settings: Settings; readonly settingsProblem: string | undefined } {
  try {
    return { settings: loadSettings({ flags: {}, env, home }), settingsProblem: undefined };
  } catch (error) {
    const { code, message, remedy } = toWeftError(error);
    if (code !== 'config_invalid') throw error;
    // A folder without a file, and no environment.
    const settings = loadSettings({ flags: {}, env: {}, home: join(home, '.none') });
    return { settings, settingsProblem: `${message} ${remedy}` };
  }
}

const MARKS = { ok: '✓', warning: '!', failed: '✗', skipped: '-' } as const;
const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const;

function print({ checks }: DoctorReport, from: Examined['from'], { stdout }: CommandContext): void {
  const width = Math.max(...checks.map(({ layer }) => layer.length)) + 2;
  let above: string | undefined;
  for (const check of checks) {
    stdout.write(lineOf(check, check.layer === above ? '' : check.layer, width, stdout));
    above = check.layer;
  }
  const count = (status: DoctorCheck['status']): number => checks.filter((check) => check.status === status).length;
  const whose = from === 'daemon' ? 'as the running daemon sees it' : 'as seen without a daemon';
  stdout.write(`\n${count('ok')} fine, ${count('warning')} to look at, ${count('failed')} failed; ${whose}.\n`);
}

function lineOf({ name, status, detail, remedy }: DoctorCheck, layer: string, width: number, stream: Output): string {
  const mark = stream.isTTY ? styleText(COLOURS[status], MARKS[status], { stream }) : MARKS[status];
  const line = `${layer.padEnd(width)}${mark} ${printable(name)}: ${printable(detail)}\n`;
  const todo = status === 'warning' || status === 'failed' ? remedy : undefined;
  return todo === undefined ? line : `${line}${' '.repeat(width)}  → ${printable(todo)}\n`;
}
