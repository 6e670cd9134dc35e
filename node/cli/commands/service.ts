// `weft service …`: this node as a service of the machine or of a person, and the space that it takes.
import { spawn } from 'node:child_process';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseSize } from '../../config/units.ts';
import type { CommandContext } from '../context.ts';
import { printJson } from '../context.ts';
import { formatBytes, printable } from '../format.ts';
import {
  install,
  NO_SUCH_PROGRAM,
  report,
  type ServiceComponents,
  type ServiceReport,
  uninstall,
} from '../service/actions.ts';
import {
  describeService,
  SERVICE_SYSTEMS,
  type ServiceDescription,
  type ServiceSystem,
  thisMachine,
} from '../service/description.ts';
import { foreignBinaries, platformOf, removeBinaries, runtimeBinaries } from '../service/prune.ts';
import { SERVICE_MANAGERS, type Command as SystemCommand } from '../service/systems.ts';

interface Options {
  readonly system: ServiceSystem;
  readonly user?: true;
  readonly home?: string;
  readonly runAs?: string;
  readonly memoryMax: string;
}

export function define(command: Command, context: CommandContext): void {
  const sub = (name: string, summary: string): Command =>
    command
      .command(name)
      .summary(summary)
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`);

  described(sub('install', 'write the service file, and say what to run next'))
    .option('--now', 'run that too: the service starts, now and with the machine')
    .option('--force', 'overwrite a file that was changed by hand')
    .action((options: Options & { readonly now?: true; readonly force?: true }) => {
      const { components, service } = assemble(options, context);
      return install(components, service, { now: options.now === true, force: options.force === true });
    });

  described(sub('uninstall', 'stop the service and remove its file; the data stays'))
    .option('--force', 'remove a file that was changed by hand')
    .action((options: Options & { readonly force?: true }) => {
      const { components, service } = assemble(options, context);
      return uninstall(components, service, { force: options.force === true });
    });

  described(sub('status', 'show the service file and whether the service runs'))
    .option('--json', 'print one JSON object')
    .action(async (options: Options & { readonly json?: true }) => {
      const { components, service } = assemble(options, context);
      const found = await report(components, service);
      if (options.json) printJson(context, { system: options.system, scope: service.scope, ...found });
      else context.stdout.write(describe(found));
    });

  described(sub('print', 'print the service file')).action((options: Options) => {
    const { service } = assemble(options, context);
    context.stdout.write(SERVICE_MANAGERS[options.system].render(service));
  });

  sub('prune', "remove ONNX Runtime's binaries for other systems from this installation")
    .option('--dry-run', 'only say what would go')
    .option('--json', 'print one JSON object')
    .action((options: { readonly dryRun?: true; readonly json?: true }) => prune(options, context));
}

/** The options that say which service is meant. */
function described(command: Command): Command {
  return command
    .addOption(
      new Option('--system <name>', 'who runs services here')
        .choices(SERVICE_SYSTEMS)
        .default(systemOf(process.platform)),
    )
    .option('--user', 'a service of yours, not of the machine')
    .option('--home <folder>', 'its data folder; /var/lib/weft for a systemd service of the machine')
    .option('--run-as <user>', 'whom launchd and Windows run it as')
    .option('--memory-max <size>', 'hard limit of its memory under systemd, such as 8GiB or 80%', memoryMax, '80%');
}

function systemOf(platform: NodeJS.Platform): ServiceSystem {
  return SERVICE_SYSTEMS.find((system) => SERVICE_MANAGERS[system].platform === platform) ?? 'systemd';
}

/** As systemd writes it. */
function memoryMax(text: string): string {
  const share = /^(\d{1,3})%$/.exec(text)?.[1];
  if (share !== undefined && Number(share) >= 1 && Number(share) <= 100) return `${Number(share)}%`;
  const bytes = parseSize(text);
  if (bytes === undefined || bytes < 1)
    throw new InvalidArgumentError('Write a size such as 8GiB, or a share such as 80%.');
  return String(bytes);
}

function assemble(
  options: Options,
  context: CommandContext,
): { readonly components: ServiceComponents; readonly service: ServiceDescription } {
  const machine = thisMachine(context.env);
  const service = describeService(machine, { ...options, scope: options.user ? 'user' : 'system' });
  const components: ServiceComponents = {
    machine,
    manager: SERVICE_MANAGERS[options.system],
    execute: (command, { quiet } = { quiet: false }) => execute(command, quiet ? undefined : context),
    say: (line) => void context.stdout.write(`${printable(line)}\n`),
    uid: process.getuid?.() ?? 0,
    platform: process.platform,
  };
  return { components, service };
}

/** Runs a command of the system; what it prints goes to stderr, or nowhere. */
function execute([program, ...args]: SystemCommand, context: CommandContext | undefined): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      if (context === undefined) stream.resume();
      else stream.pipe(context.stderr, { end: false });
    }
    child.on('error', () => resolve(NO_SUCH_PROGRAM));
    child.on('close', (code) => resolve(code ?? 1));
  });
}

const FILE_STATES: Readonly<Record<ServiceReport['file'], string>> = {
  absent: 'not installed',
  current: 'installed, as this version writes it',
  outdated: 'installed by another version or with other options; `weft service install` brings it up to date',
  changed: 'changed by hand',
};

function describe({ path, file, active }: ServiceReport): string {
  const runs = active === undefined ? 'this machine has no such service system' : active ? 'yes' : 'no';
  return `File     ${printable(path)}\nState    ${FILE_STATES[file]}\nRunning  ${runs}\n`;
}

async function prune(
  options: { readonly dryRun?: true; readonly json?: true },
  context: CommandContext,
): Promise<void> {
  const bin = runtimeBinaries(import.meta.url);
  const foreign = bin === undefined ? [] : await foreignBinaries(bin, process);
  if (!options.dryRun) await removeBinaries(foreign);
  const freedBytes = foreign.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (options.json) {
    return printJson(context, { dryRun: options.dryRun === true, freedBytes, platforms: foreign.map(platformOf) });
  }
  for (const one of foreign) context.stdout.write(`${platformOf(one).padEnd(16)}${formatBytes(one.sizeBytes)}\n`);
  if (foreign.length === 0) context.stdout.write('There is nothing for other systems.\n');
  else context.stdout.write(`${options.dryRun ? 'Would free' : 'Freed'} ${formatBytes(freedBytes)}.\n`);
}
