// Makes a model of files: which they are, whether they may be given to a runtime, what they are for, and the manifest
// that says all of it. Reads, and changes nothing. Runs in the prep process, as the files may be anybody's.
import { WeftError } from '../../protocol/errors.ts';
import { graphVariants } from '../graph-variants.ts';
import { WARNINGS_MAX } from '../limits.ts';
import { canonicalJson, type Manifest, MODEL_ID, parseManifest } from '../manifest.ts';
import { locationProblem } from '../onnx/check/external.ts';
import { checkOnnxFile, ONNX_CHECKS, type OnnxCheck, type OnnxChecked } from '../onnx/check.ts';
import { speechGraphs } from '../speech-layout.ts';
import { describeFile, plainFile, refuse } from './files.ts';
import { type Layout, layoutOf } from './layout.ts';
import { licenceOf } from './licence.ts';
import { Config, type ReadSettings, settingsOf } from './settings.ts';
import { readSpeech } from './speech.ts';
import { guessTask, specsOf, type Task, taskNamed } from './task.ts';

/** As node/core's InspectRequest. */
export interface InspectRequest {
  readonly path: string;
  readonly id?: string | undefined;
  readonly graph?: string | undefined;
  readonly task?: string | undefined;
  readonly licence?: string | undefined;
}

export interface InspectOptions {
  /** Told of bytes as they are hashed. */
  readonly onBytes?: (bytes: number) => void;
  /** Refuse what is taken with a warning otherwise: settings that contradict the graph, a licence that can't be told. */
  readonly strict?: boolean;
  /** What is looked for in a graph; less than all is for tests. @default all of it */
  readonly checks?: ReadonlySet<OnnxCheck>;
}

/** As node/core's Inspected. */
export interface Inspected {
  readonly manifestJson: string;
  readonly sources: readonly { readonly path: string; readonly from: string }[];
  readonly reason: string;
  readonly warnings: readonly string[];
}

/** A graph that passed, by its path in the manifest. */
export interface CheckedGraph {
  readonly path: string;
  readonly summary: OnnxChecked;
}

/** What one inspection is about. */
interface Inspection {
  readonly layout: Layout;
  readonly linksRefused: boolean;
  readonly read: ReadSettings;
  readonly check: (path: string) => Promise<CheckedGraph>;
  /** What is a warning, or the end where the inspection is strict. */
  readonly doubt: (error: Error) => void;
}

/**
 * Inspects an .onnx file or a folder. A graph by itself becomes onnx/NAME.onnx, its weights beside it.
 * @throws WeftError `model_corrupt` when something is missing, damaged, hostile, or contradicts what was asked for;
 *   `bad_request` for a task that there is not
 */
export async function inspectModel(request: InspectRequest, options: InspectOptions = {}): Promise<Inspected> {
  const { onBytes, strict = false, checks = ONNX_CHECKS } = options;
  const warnings = new Set<string>();
  if (request.graph !== undefined) checkGraphPath(request.graph);
  if (request.id !== undefined) checkId(request.id);
  const layout = await layoutOf(request.path);
  const linksRefused = checks.has('links');
  const inspection: Inspection = {
    layout,
    linksRefused,
    read: settingsOf(layout, linksRefused),
    async check(path) {
      const at = layout.place(path);
      const { from } = await plainFile(at.root, at.path, linksRefused);
      const summary = checkOnnxFile(from, { checks });
      for (const warning of summary.warnings) warnings.add(warning);
      return { path, summary };
    },
    doubt(error) {
      if (strict) throw error;
      warnings.add(error instanceof WeftError ? error.message : 'Something about the model could not be told.');
    },
  };
  const wanted = request.task === undefined ? undefined : taskNamed(request.task);
  const model =
    (await speechModel(inspection, request.graph, wanted)) ?? (await otherModel(inspection, request.graph, wanted));
  const [main] = model.graphs;
  const licence = await licenceOf(layout, request.licence, linksRefused, inspection.doubt);
  const paths = new Set([
    ...layout.sides,
    ...(licence.file === undefined ? [] : [licence.file]),
    ...model.graphs.flatMap((graph) => [graph.path, ...weightsOf(graph)]),
  ]);
  const sources: { readonly path: string; readonly from: string }[] = [];
  for (const path of [...paths].sort()) {
    const at = layout.place(path);
    sources.push({ path, from: (await plainFile(at.root, at.path, linksRefused)).from });
  }
  const files = [];
  for (const { path, from } of sources) files.push(await describeFile(path, from, linksRefused, onBytes));
  const manifest = {
    schema: 1,
    id: request.id ?? `local/${plainName(layout.name)}`,
    task: model.task,
    precision: precisionOf(main.path),
    graph: main.path,
    files,
    inputs: main.summary.inputs,
    outputs: main.summary.outputs,
    ...model.specs,
    licence,
  };
  // Through the same gate as everyone else's, which knows no graph without an input.
  const manifestJson = canonicalJson(parseManifest(canonicalJson(manifest)));
  return {
    manifestJson,
    sources,
    reason: `It is taken as ${model.task}: ${model.reason}.`,
    warnings: [...warnings].slice(0, WARNINGS_MAX),
  };
}

/** @throws WeftError `bad_request` for a graph outside of the folder */
function checkGraphPath(graph: string): void {
  const problem = locationProblem(graph);
  if (problem === undefined) return;
  const message = `The path of the graph ${problem}.`;
  throw new WeftError({
    code: 'bad_request',
    message,
    remedy: 'Name a graph inside the folder, such as onnx/model.onnx.',
  });
}

/** @throws WeftError `bad_request` for what a manifest would refuse as its id */
function checkId(id: string): void {
  if (MODEL_ID.test(id)) return;
  const remedy = 'Name it OWNER/NAME, of letters, digits, dots, dashes and underscores.';
  throw new WeftError({ code: 'bad_request', message: 'That is no name of a model.', remedy });
}

/** What came out about the graphs. */
interface Model {
  readonly task: Task;
  readonly reason: string;
  /** The first one is the manifest's. */
  readonly graphs: readonly [CheckedGraph, ...CheckedGraph[]];
  readonly specs: Partial<Manifest>;
}

async function speechModel(
  { layout, read, check, doubt }: Inspection,
  graph: string | undefined,
  wanted: Task | undefined,
): Promise<Model | undefined> {
  const asked = wanted === 'automatic-speech-recognition';
  if (wanted !== undefined && !asked) return undefined;
  const config = await readOrDoubt(read, asked, doubt);
  if (config?.model_type !== 'whisper') {
    if (asked) throw refuse('config.json is not that of a speech model in Whisper’s layout.', 'Name another task.');
    return undefined;
  }
  const trying = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (asked || !isContradiction(error)) throw error;
      doubt(error);
      return undefined;
    }
  };
  const names = layout.graphs.filter((path) => path.startsWith('onnx/')).map((path) => path.slice('onnx/'.length));
  const paths = await trying(() => speechGraphs(names, graph ?? layout.graph));
  if (paths === undefined) {
    if (asked) throw refuse('There is no decoder, or several.', 'Name the decoder with --graph.');
    return undefined;
  }
  const decoder = await check(paths.decoder);
  const encoder = await check(paths.encoder);
  const past = paths.decoderWithPast === undefined ? undefined : await check(paths.decoderWithPast);
  const specs = await trying(() => readSpeech(read, decoder, encoder, past));
  return (
    specs && {
      task: 'automatic-speech-recognition',
      reason: 'config.json calls it a Whisper model, and its encoder and decoder are there',
      graphs: [decoder, encoder, ...(past === undefined ? [] : [past])],
      specs,
    }
  );
}

async function otherModel(
  { layout, read, check, doubt }: Inspection,
  asked: string | undefined,
  wanted: Task | undefined,
): Promise<Model> {
  const graph = await check(asked ?? layout.graph ?? onlyGraph(layout));
  const config = wanted === 'tensor' ? undefined : await readOrDoubt(read, wanted !== undefined, doubt);
  const guess: { task: Task; reason: string } =
    wanted !== undefined
      ? { task: wanted, reason: 'that is what was asked for' }
      : config === undefined
        ? { task: 'tensor', reason: 'its config.json cannot be read' }
        : guessTask(graph.summary, config, layout.sides.includes('tokenizer.json'));
  try {
    const specs = await specsOf(guess.task, graph.summary, config ?? {}, read);
    return { ...guess, graphs: [graph], specs };
  } catch (error) {
    if (wanted !== undefined || !isContradiction(error)) throw error;
    doubt(error);
    const reason = `it looks like ${guess.task}, but its settings do not fit its graph`;
    return { task: 'tensor', reason, graphs: [graph], specs: { contextLength: 0 } };
  }
}

/** Settings that are wrong make a plain graph of it; a graph that is wrong was refused before. */
const isContradiction = (error: unknown): error is WeftError =>
  error instanceof WeftError && error.code === 'model_corrupt';

async function readOrDoubt(
  read: ReadSettings,
  needed: boolean,
  doubt: (error: Error) => void,
): Promise<Config | undefined> {
  try {
    return (await read('config.json', Config)) ?? {};
  } catch (error) {
    if (needed || !isContradiction(error)) throw error;
    doubt(error);
    return undefined;
  }
}

function onlyGraph({ graphs }: Layout): string {
  const [graph] = graphs;
  if (graphs.length === 1 && graph !== undefined) return graph;
  throw refuse(`The folder holds ${graphs.length} graphs (onnx/*.onnx).`, 'Name the one to use with --graph.');
}

/** Files beside a graph that its weights lie in, in the manifest's terms. */
function weightsOf({ path, summary }: CheckedGraph): string[] {
  const slash = path.lastIndexOf('/');
  return summary.externalFiles.map(({ location }) => path.slice(0, slash + 1) + location);
}

/** As the choice of files reads names: `model_q4.onnx` → `q4`, `model_quantized.onnx` → `int8`. */
const precisionOf = (graph: string): string => graphVariants([{ path: graph, sizeBytes: 0 }])[0]?.precision ?? 'fp32';

/** A name as an id may have it. */
function plainName(name: string): string {
  const plain = name
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 96);
  return plain === '' ? 'model' : plain;
}
