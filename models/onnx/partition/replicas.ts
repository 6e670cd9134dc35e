// Which nodes are computed anew in every part that needs them, rather than sent: cheap cones such as masks and shapes,
// where what they are made of is smaller, or crosses anyway. At each place of the graph a minimum cut finds the
// narrowest tensors of the cones that cross there; a cone is taken where it makes all crossings together smaller.
import { TENSORS_MAX } from '../../../protocol/limits.ts';
import { CONE_BOUNDARIES_MAX, CONE_STEPS_MAX, CONE_TRIALS_MAX } from '../../limits.ts';
import type { ModelProto } from '../messages/onnx_pb.js';
import { bytesOf, foldReplicas } from './crossings.ts';
import { FlowNetwork, SINK, SOURCE } from './minimum-cut.ts';
import { isRandom, randomFunctions, type StepGraph } from './step-graph.ts';
import { WeightUses } from './weight-uses.ts';

/** What a byte costs that crosses, in milliseconds: 1 Gbit/s. On slower links recomputing would pay even more. */
const MS_PER_BYTE = 8e-6;
/** Bytes that a tensor takes beside its own: its name, and its place in a message. */
const TENSOR_BYTES = 64;
/** What a tensor costs that can't be sent: more than any other, as 12 GB would. */
const BARRED_MS = 1e5;
/** What a node costs however little it does. */
const STEP_MS = 5e-4;
/** And for each byte that it makes, 5 GB/s: a profile shows no time for what the runtime computed within another kernel. */
const MS_PER_MADE_BYTE = 2e-7;
/** Every part that repeats a node holds its weights: shapes and scales are small enough, embeddings are not. */
const WEIGHT_BYTES_MAX = 4096;
/** A node that takes more than this share of the graph's time is none that is computed twice. */
const CHEAP_SHARE = 0.005;

/** @param kept inputs of the graph that no replica may use: they must not leave where they are */
export function chooseReplicas(model: ModelProto, graph: StepGraph, kept: ReadonlySet<string>): ReadonlySet<number> {
  return new Replicas(model, graph, kept).choose();
}

class Replicas {
  readonly #graph: StepGraph;
  readonly #kept: ReadonlySet<string>;
  /** By step. */
  readonly #cheap: readonly boolean[];
  /** Place of the last step that uses each tensor; −1 where none does. */
  readonly #lastUse: Int32Array;
  #chosen: ReadonlySet<number> = new Set();

  constructor(model: ModelProto, graph: StepGraph, kept: ReadonlySet<string>) {
    this.#graph = graph;
    this.#kept = kept;
    const random = randomFunctions(model);
    const weights = new WeightUses(foldReplicas(graph, new Set()));
    const totalMs = graph.steps.reduce((sum, { ms }) => sum + ms, 0);
    this.#cheap = graph.steps.map(
      ({ node, ms, makes }) =>
        ms <= totalMs * CHEAP_SHARE &&
        !isRandom(node, random) &&
        !node.attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0) &&
        !makes.some((tensor) => graph.tensors[tensor]?.output) &&
        weights.areWithin(node, WEIGHT_BYTES_MAX),
    );
    this.#lastUse = new Int32Array(graph.tensors.length).fill(-1);
    for (const [place, { uses }] of graph.steps.entries()) for (const tensor of uses) this.#lastUse[tensor] = place;
  }

  choose(): ReadonlySet<number> {
    const { steps } = this.#graph;
    let price = this.#price(this.#chosen);
    let trials = 0;
    const live = new Set<number>();
    for (const [tensor, { from }] of this.#graph.tensors.entries()) {
      if (from < 0 && (this.#lastUse[tensor] as number) >= 0) live.add(tensor);
    }
    const stride = Math.max(1, Math.ceil(steps.length / CONE_BOUNDARIES_MAX));
    for (let boundary = stride; boundary < steps.length; boundary += stride) {
      for (const { uses, makes } of steps.slice(boundary - stride, boundary)) {
        for (const tensor of makes) live.add(tensor);
        for (const tensor of [...uses, ...makes]) if ((this.#lastUse[tensor] as number) < boundary) live.delete(tensor);
      }
      // Where more live, nothing is cut anyway.
      if (live.size > TENSORS_MAX) continue;
      const cone = this.#coneAt(live);
      if (cone.every((step) => this.#chosen.has(step))) continue;
      const wider = new Set([...this.#chosen, ...cone]);
      const widerPrice = this.#price(wider);
      if (widerPrice < price) {
        this.#chosen = wider;
        price = widerPrice;
      }
      if (++trials >= CONE_TRIALS_MAX) break;
    }
    return this.#chosen;
  }

  /** What sending this tensor costs, in milliseconds. */
  #sending(tensor: number): number {
    const found = this.#graph.tensors[tensor];
    if (found?.cost === undefined || this.#kept.has(found.name)) return BARRED_MS;
    return (found.cost.bytes + TENSOR_BYTES) * MS_PER_BYTE;
  }

  /** Of all boundaries together, when these steps are computed wherever they are used. */
  #price(replicas: ReadonlySet<number>): number {
    const { steps, tensors } = this.#graph;
    const lastUse = new Int32Array(tensors.length).fill(-1);
    for (let place = steps.length - 1; place >= 0; place--) {
      const step = steps[place];
      if (step === undefined) continue;
      const at = replicas.has(place)
        ? step.makes.reduce((last, tensor) => Math.max(last, lastUse[tensor] as number), -1)
        : place;
      for (const tensor of step.uses) lastUse[tensor] = Math.max(lastUse[tensor] as number, at);
    }
    let price = replicas.size * STEP_MS;
    for (const [tensor, { from }] of tensors.entries()) {
      if (replicas.has(from)) continue;
      price += this.#sending(tensor) * Math.max(0, (lastUse[tensor] as number) - Math.max(from, 0));
    }
    return price;
  }

  /** Steps that are better computed again behind a boundary than having their tensors sent. @param live what crosses it */
  #coneAt(live: ReadonlySet<number>): readonly number[] {
    const { tensors } = this.#graph;
    const network = new FlowNetwork();
    const stepNodes = new Map<number, number>();
    const tensorNodes = new Map<number, number>();
    const waiting: number[] = [];
    const tensorNode = (tensor: number): number => {
      const known = tensorNodes.get(tensor);
      if (known !== undefined) return known;
      const made = network.addNode();
      tensorNodes.set(tensor, made);
      const from = tensors[tensor]?.from ?? -1;
      network.addArc(this.#stepNode(from, network, stepNodes, waiting), made, this.#sending(tensor));
      if (live.has(tensor)) network.addArc(made, SINK, Number.POSITIVE_INFINITY);
      return made;
    };
    // What is sent in any case matters only where a cone uses it.
    for (const tensor of live) if (this.#cheap[tensors[tensor]?.from ?? -1] === true) tensorNode(tensor);
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      const step = this.#graph.steps[place];
      const node = stepNodes.get(place);
      if (step === undefined || node === undefined) continue;
      const made = step.makes.reduce((sum, tensor) => sum + bytesOf(this.#graph, tensor), 0);
      network.addArc(SOURCE, node, Math.max(step.ms, made * MS_PER_MADE_BYTE) + STEP_MS);
      for (const tensor of step.uses) network.addArc(tensorNode(tensor), node, Number.POSITIVE_INFINITY);
    }
    const { far } = network.cut();
    return [...stepNodes].flatMap(([place, node]) => (far.has(node) ? [place] : []));
  }

  /** The source for a step that is never repeated, and for the graph's inputs. */
  #stepNode(place: number, network: FlowNetwork, nodes: Map<number, number>, waiting: number[]): number {
    if (this.#cheap[place] !== true) return SOURCE;
    const known = nodes.get(place);
    if (known !== undefined) return known;
    if (nodes.size >= CONE_STEPS_MAX) return SOURCE;
    const made = network.addNode();
    nodes.set(place, made);
    waiting.push(place);
    return made;
  }
}
