// `weft config`: shows the settings and where each came from, and changes settings.json. Asks the running daemon where
// there is one, since only it knows its flags; reads file and environment itself where there is none.
import type { Command } from 'commander';
import { toWeftError } from '../../../protocol/errors.ts';
import { homeFolder } from '../../config/home.ts';
import { changeSettings, loadSettings } from '../../config/settings.ts';
import { settingNamed, settingsPath } from '../../config/settings-file.ts';
import { reportSettings } from '../../config/settings-report.ts';
import { SETTINGS, type SettingName } from '../../config/settings-table.ts';
import type { ConfigReport, SettingReport } from '../../core/control.ts';
import { type Connection, connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { printable, table } from '../format.ts';

interface Options extends ClientOptions {
  readonly explain?: true;
  readonly json?: true;
}

/** What the settings are, and who said so. */
interface Answer {
  readonly report: ConfigReport;
  /** A running daemon's; else those of the next start, as file and environment say. */
  readonly from: 'daemon' | 'files';
}

const PATH = '/api/v1/config';

export function define(command: Command, context: CommandContext): void {
  const options = (): Options => command.opts<Options>();
  command
    .configureHelp({ showGlobalOptions: true })
    .option('--explain', 'say where each value came from, and how to set it')
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder (WEFT_HOME)')
    .action(() => show(options(), context));
  command
    .command('get <name>')
    .description('Print the value of one setting.')
    .action((name: string) => get(name, options(), context));
  command
    .command('set <name> <value>')
    .description(
      'Write a setting into settings.json. A running node takes it over at once, or says that it will later.',
    )
    .action((name: string, value: string) => {
      const setting = settingNamed(name);
      return change({ [setting]: asInFile(setting, value) }, options(), context);
    });
  command
    .command('unset <name>')
    .description('Take a setting out of settings.json.')
    .action((name: string) => change({ [settingNamed(name)]: null }, options(), context));
  command
    .command('path')
    .description('Print where settings.json lies.')
    .action(() => {
      const file = settingsPath(folderOf(options(), context));
      if (options().json) printJson(context, { file });
      else context.stdout.write(`${file}\n`);
    });
}

async function show(options: Options, context: CommandContext): Promise<void> {
  const { report, from } = await read(options, context);
  if (options.json) return printJson(context, { from, ...report });
  const { stdout } = context;
  stdout.write(options.explain ? explained(report) : listed(report));
  stdout.write(`\n${origin(report, from)}\n`);
}

async function get(name: string, options: Options, context: CommandContext): Promise<void> {
  const wanted = settingNamed(name);
  const { report, from } = await read(options, context);
  const setting = report.settings.find((candidate) => candidate.name === wanted);
  if (options.json) printJson(context, { from, ...setting });
  else context.stdout.write(`${written(setting?.value)}\n`);
}

async function change(
  changes: Readonly<Record<string, unknown>>,
  options: Options,
  context: CommandContext,
): Promise<void> {
  const daemon = await runningDaemon(options, context);
  const answer =
    daemon === undefined ? await changeFile(changes, options, context) : await ask(daemon, changes, context);
  if (options.json) return printJson(context, { from: answer.from, ...answer.report });
  for (const [name, value] of Object.entries(changes)) {
    const setting = answer.report.settings.find((candidate) => candidate.name === name);
    if (setting !== undefined) context.stdout.write(`${outcome(setting, value, answer)}\n`);
  }
}

/** What a person would write into the file: true, 4 and ["a", "b"] rather than texts of them. */
function asInFile(name: SettingName, text: string): unknown {
  const { schema, show } = SETTINGS[name];
  const checked = schema.safeParse(text);
  if (!checked.success) return text; // refused where it is written, with what it should look like
  const value = (show as (value: unknown) => unknown)(checked.data);
  return typeof value === 'boolean' || typeof value === 'number' || Array.isArray(value) ? value : text;
}

async function ask(
  { client }: Connection,
  changes: Readonly<Record<string, unknown>>,
  context: CommandContext,
): Promise<Answer> {
  const { body } = await client.patch<ConfigReport>(PATH, changes, context);
  return { report: body, from: 'daemon' };
}

async function changeFile(
  changes: Readonly<Record<string, unknown>>,
  options: Options,
  context: CommandContext,
): Promise<Answer> {
  const home = folderOf(options, context);
  const settings = await changeSettings({ flags: {}, env: context.env, home }, changes);
  return { report: reportSettings({ home, settings }), from: 'files' };
}

async function read(options: Options, context: CommandContext): Promise<Answer> {
  const daemon = await runningDaemon(options, context);
  if (daemon !== undefined) return { report: await daemon.client.get<ConfigReport>(PATH, context), from: 'daemon' };
  const home = folderOf(options, context);
  const settings = loadSettings({ flags: {}, env: context.env, home });
  return { report: reportSettings({ home, settings }), from: 'files' };
}

/** The daemon of the data folder, if one runs. */
async function runningDaemon(options: Options, context: CommandContext): Promise<Connection | undefined> {
  try {
    return await connect(context, options);
  } catch (error) {
    if (toWeftError(error).code === 'daemon_not_running') return undefined;
    throw error;
  }
}

function folderOf({ home }: Options, { env }: CommandContext): string {
  return homeFolder({ env, asked: home });
}

function listed({ settings }: ConfigReport): string {
  return table<SettingReport>(
    [
      { title: 'NAME', value: ({ name }) => name },
      { title: 'VALUE', value: ({ value }) => written(value) },
      { title: 'FROM', value: ({ source }) => source },
    ],
    settings,
  );
}

function explained({ settings }: ConfigReport): string {
  return table<SettingReport>(
    [
      { title: 'NAME', value: ({ name }) => name },
      { title: 'VALUE', value: ({ value }) => written(value) },
      { title: 'FROM', value: cameFrom },
      { title: 'FLAG', value: ({ flag }) => flag },
      { title: 'ENVIRONMENT', value: ({ env }) => env },
      { title: 'CHANGES', value: ({ live, pending }) => pendingText(live, pending) },
    ],
    settings,
  );
}

function cameFrom({ source, flag, env }: SettingReport): string {
  return { flag: `flag ${flag}`, environment: `environment ${env}`, file: 'settings.json', default: 'default' }[source];
}

const pendingText = (live: boolean, pending: unknown): string =>
  pending === undefined ? (live ? 'at once' : 'at the next start') : `${written(pending)} at the next start`;

/** Which settings these are, and what is wrong with the file. */
function origin({ file, problem }: ConfigReport, from: Answer['from']): string {
  const whose =
    from === 'daemon'
      ? 'These are the settings of the running daemon.'
      : 'No daemon runs; these are the settings that it would start with.';
  return `${whose} File: ${printable(file)}${problem === undefined ? '' : `\n! ${printable(problem)}`}`;
}

/** What became of one change. */
function outcome({ name, value, source, flag, env, pending }: SettingReport, asked: unknown, { from }: Answer): string {
  if (source === 'flag' || source === 'environment') {
    const by = source === 'flag' ? flag : env;
    return `${name} is in settings.json, but ${by} hides it: it stays ${written(value)}.`;
  }
  if (pending !== undefined)
    return `${name} will be ${written(pending)} at the next start; it is ${written(value)} now.`;
  const what = asked === null ? `${name} is back at its default: ${written(value)}` : `${name} is ${written(value)}`;
  return from === 'daemon' ? `${what}.` : `${what}, from the next start of the daemon.`;
}

/** A value as one would type it. */
function written(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : printable(value.join(','));
  return printable(String(value));
}
