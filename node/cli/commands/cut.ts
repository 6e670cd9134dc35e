// `weft cut MODEL|FILE --at PLACE --out DIR`: the parts of a graph as ordinary ONNX files. Asks a daemon only for what it has
// measured; without one the graph is measured here.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { InstalledModel } from '../../../models/installed.ts';
import type { CutsAnswer } from '../../../protocol/api/control.ts';
import { partBetween } from '../../../protocol/cut-table.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { homeFolder } from '../../config/home.ts';
import { loadSettings } from '../../config/settings.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { silentLog as log } from '../../core/log.ts';
import { cutPoints } from '../../dispatch/cut-parts.ts';
import { PrepProcess } from '../../prep/prep-process.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { checkOut, writeParts } from '../cut-files.ts';
import { modelOfName, modelOfPath } from '../cut-source.ts';
import { cutsText } from '../cuts-view.ts';
import { asArgument, formatBytes, printable, table } from '../format.ts';
import { ANSWER_MS_MAX } from '../limits.ts';
import { type Places, parsePlaces } from '../locality-options.ts';
import { pathOf } from '../model-argument.ts';
import { dimLine } from '../style.ts';
import { VERSION } from '../version.ts';

interface Options extends ReadingOptions {
  readonly at?: Places;
  readonly out?: string;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<model>', 'short name or hub id of an installed model, an .onnx file, or a folder with one')
    .option('--at <place>', 'cut points by commas, each a number or a tensor; without it they are listed', parsePlaces)
    .option('--out <folder>', 'where the parts are written: a new folder, or an empty one')
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder whose models and daemon are used (WEFT_HOME)')
    .addHelpText('after', '\nWorks without a daemon: the graph is then measured here, in a process of its own.')
    .action((name: string, options: Options) => cut(name, options, context));
}

async function cut(name: string, options: Options, context: CommandContext): Promise<void> {
  const { at, out } = options;
  if ((at === undefined) !== (out === undefined)) {
    const remedy = `Write weft cut ${asArgument(name)} --at PLACE --out FOLDER, or neither to list the cut points.`;
    throw new WeftError({ code: 'bad_request', message: '--at and --out go together.', remedy });
  }
  if (out !== undefined) await checkOut(out);
  const { packagePaths } = await import('../../app/paths.ts');
  const scratch = await mkdtemp(join(tmpdir(), 'weft-cut-'));
  const prep = new PrepProcess({ clock, log }, { entry: packagePaths().prepEntry, nodePath: process.execPath });
  try {
    const folder = homeFolder({ env: context.env, asked: options.home });
    const settings = loadSettings({ flags: {}, env: context.env, home: folder });
    const path = pathOf(name);
    const { signal } = context;
    const model =
      path === undefined
        ? await modelOfName(name, settings, join(scratch, 'cache'))
        : await modelOfPath(prep, path, { scratch, signal });
    const known = path === undefined ? await askDaemon(model, options, context) : undefined;
    const measured = known ?? (await measureHere(model, { scratch, settings, context }));
    if (at === undefined || out === undefined) {
      if (options.json) return printJson(context, measured);
      return void context.stdout.write(cutsText(measured));
    }
    const edges = edgesOf(measured, at);
    const parts = edges.slice(1).map((to, index) => partBetween(measured, edges[index] as number, to));
    const written = await writeParts(prep, {
      model: model.ref,
      graph: join(model.folder, ...model.manifest.graph.split('/')),
      parts,
      name: model.ref.id.slice(model.ref.id.lastIndexOf('/') + 1),
      out,
      signal,
    });
    if (options.json) return printJson(context, { model: model.ref, out, parts: written });
    context.stdout.write(
      table(
        [
          { title: 'FILE', value: ({ file }) => file },
          { title: 'SIZE', value: ({ sizeBytes }) => formatBytes(sizeBytes), align: 'right' },
          { title: 'TAKES', value: ({ inputs }) => inputs.join(', ') },
          { title: 'GIVES', value: ({ outputs }) => outputs.join(', ') },
        ],
        written,
      ),
    );
    context.stderr.write(dimLine(context.stderr, `in ${printable(out)}; parts.json says how they are chained`));
  } finally {
    await prep.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Its numbers are those of `weft show --cuts`, as its table is. Undefined where there is no daemon, or it doesn't offer the model. */
async function askDaemon(
  { ref }: InstalledModel,
  options: Options,
  context: CommandContext,
): Promise<CutsAnswer | undefined> {
  try {
    const { client } = await connect(context, options);
    const { signal } = context;
    const query = `model=${encodeURIComponent(ref.digest)}`;
    return await client.get<CutsAnswer>(`/api/v1/cuts?${query}`, { signal, timeoutMs: ANSWER_MS_MAX });
  } catch (error) {
    const missing = ['daemon_not_running', 'model_not_found', 'unsupported', 'unauthorized'];
    if (error instanceof WeftError && missing.includes(error.code)) return undefined;
    throw error;
  }
}

async function measureHere(
  model: InstalledModel,
  init: {
    readonly scratch: string;
    readonly settings: { readonly memoryBytes: number; readonly threads: number };
    readonly context: CommandContext;
  },
): Promise<CutsAnswer> {
  const { scratch, settings, context } = init;
  context.stderr.write(dimLine(context.stderr, 'No daemon has measured it: it is measured here.'));
  const { measureAlone } = await import('../../app/measure-alone.ts');
  const { memoryBytes: memoryBytesMax, threads } = settings;
  const { signal } = context;
  const table = await measureAlone(
    { clock, log },
    { model, folder: scratch, memoryBytesMax, threads, version: VERSION, signal },
  );
  return structuredClone(table) as CutsAnswer;
}

const LISTS = 'Leave --at and --out out to list the cut points.';

/** @throws WeftError `bad_request` for a tensor that crosses nowhere */
function placesIn(measured: CutsAnswer, at: Places): readonly number[] {
  try {
    return cutPoints(measured, at);
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    throw new WeftError({ code: error.code, message: error.message, remedy: LISTS }, { cause: error });
  }
}

/** Where parts begin and end, the graph's own ends included. @throws WeftError `bad_request` for what is no cut point */
function edgesOf(measured: CutsAnswer, at: Places): readonly number[] {
  const count = measured.segments.length;
  const points = placesIn(measured, at);
  const wrong = points.find((point) => point < 1 || point >= count);
  if (wrong === undefined) return [0, ...points, count];
  const why = measured.reason === undefined ? '' : ` ${measured.reason}`;
  const message =
    count < 2
      ? `The graph of ${measured.model.id} can't be cut.${why}`
      : `${wrong} is no cut point of ${measured.model.id}: they are 1 to ${count - 1}.`;
  throw new WeftError({ code: 'bad_request', message, remedy: LISTS });
}
