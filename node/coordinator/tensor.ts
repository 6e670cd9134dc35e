// Tensors → tensors, for any graph of the mesh. What the manifest says of the graph is checked before anything is placed,
// where this node has it; the executor checks everything again. Called by TextCoordinator.
import { fitsPort, type Manifest } from '../../models/manifest.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { RunRequest } from '../../protocol/infer.ts';
import { TENSORS_MAX } from '../../protocol/limits.ts';
import { checkTensor, type NamedTensor } from '../../protocol/tensor.ts';
import type { RequestOptions, TensorAnswer, TensorRequest } from '../core/coordinator.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import { NAME_SHOWN_MAX, NAMES_LISTED_MAX } from './limits.ts';
import type { ModelResolver } from './model-resolver.ts';
import { placedOptions } from './placed-options.ts';

export interface TensorComponents {
  readonly dispatcher: Pick<Dispatcher, 'run'>;
  readonly resolver: Pick<ModelResolver, 'graph'>;
}

/** @throws WeftError `model_not_found`, `tensor_invalid`, or the work's own failure */
export async function run(
  components: TensorComponents,
  request: TensorRequest,
  options: RequestOptions,
): Promise<TensorAnswer> {
  const work = runRequest(components, request, options);
  const ref = work.model;
  const result = await components.dispatcher.run(work, placedOptions(options));
  return { model: ref, outputs: result.outputs, timing: result.timing, nodes: result.nodes, plan: result.plan };
}

/** The work of a request, checked. @throws WeftError `model_not_found`, `no_capable_node`, `tensor_invalid` */
export function runRequest(
  { resolver }: Pick<TensorComponents, 'resolver'>,
  request: TensorRequest,
  { trace }: Pick<RequestOptions, 'trace'>,
): RunRequest {
  const { ref, manifest } = resolver.graph(request.model);
  trace?.model(ref.id);
  checkTensors(request);
  if (manifest !== undefined) {
    checkInputs(request.inputs, manifest);
    checkOutputs(request.outputs, manifest);
  }
  const { inputs, outputs } = request;
  return { model: ref, inputs, outputs };
}

/** What can be said of tensors without knowing the graph. */
function checkTensors({ inputs, outputs }: TensorRequest): void {
  if (inputs.length > TENSORS_MAX) throw invalid(`${inputs.length} tensors are too many; ${TENSORS_MAX} are taken.`);
  const names = new Set<string>();
  for (const tensor of inputs) {
    if (names.has(tensor.name)) throw invalid(`"${shown(tensor.name)}" came twice.`);
    names.add(tensor.name);
    checkTensor(tensor);
  }
  if (outputs.length > TENSORS_MAX || new Set(outputs).size !== outputs.length) {
    throw invalid('An output is named twice, or there are too many.', 'outputs');
  }
}

function checkInputs(inputs: readonly NamedTensor[], manifest: Manifest): void {
  const ports = new Map(manifest.inputs.map((port) => [port.name, port]));
  for (const { name, type, dims } of inputs) {
    const port = ports.get(name);
    if (port === undefined) {
      throw invalid(`The model takes no input of the name "${shown(name)}". It takes ${list(ports.keys())}.`);
    }
    if (type !== port.type) throw invalid(`"${name}" takes ${port.type}, but ${type} came.`);
    if (!fitsPort(dims, port.dims)) {
      throw invalid(`"${name}" takes [${port.dims.join(', ')}], but [${dims.join(', ')}] came.`);
    }
    ports.delete(name);
  }
  if (ports.size > 0) throw invalid(`Inputs are missing: ${list(ports.keys())}.`);
}

function checkOutputs(outputs: readonly string[], manifest: Manifest): void {
  const names = new Set(manifest.outputs.map(({ name }) => name));
  const unknown = outputs.find((name) => !names.has(name));
  if (unknown === undefined) return;
  throw invalid(`The model has no output of the name "${shown(unknown)}". It has ${list(names)}.`, 'outputs');
}

const invalid = (message: string, param = 'inputs'): WeftError =>
  new WeftError({ code: 'tensor_invalid', message, facts: { param } });

const shown = (name: string): string => (name.length > NAME_SHOWN_MAX ? `${name.slice(0, NAME_SHOWN_MAX)}…` : name);

function list(names: Iterable<string>): string {
  const all = [...names];
  const more = all.length > NAMES_LISTED_MAX ? `, and ${all.length - NAMES_LISTED_MAX} more` : '';
  return `${all.slice(0, NAMES_LISTED_MAX).join(', ')}${more}`;
}
