// Graphs within nodes (If, Loop, Scan), which may use the tensors of the graphs around them.
import type { GraphProto, NodeProto } from './messages/onnx_pb.js';

/** The graphs in a node's attributes. */
export function innerGraphs(node: NodeProto): readonly GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** Tensors that the graph, or one within it, takes from around it. */
export function captured(graph: GraphProto): ReadonlySet<string> {
  const own = definedIn(graph);
  const found = new Set<string>();
  const use = (name: string): void => {
    if (name !== '' && !own.has(name)) found.add(name);
  };
  for (const node of graph.node) {
    for (const name of node.input) use(name);
    for (const inner of innerGraphs(node)) for (const name of captured(inner)) use(name);
  }
  for (const { name } of graph.output) use(name);
  return found;
}

/** Makes the graph, and those within it, take another tensor from around it. */
export function renameCaptured(graph: GraphProto, from: string, to: string): void {
  if (definedIn(graph).has(from)) return;
  for (const node of graph.node) {
    node.input = node.input.map((name) => (name === from ? to : name));
    for (const inner of innerGraphs(node)) renameCaptured(inner, from, to);
  }
  for (const output of graph.output) if (output.name === from) output.name = to;
}

/** Every name in a graph and those within it, of tensors and of nodes. */
export function namesIn(graph: GraphProto): Set<string> {
  const names = definedIn(graph);
  for (const { name } of graph.output) names.add(name);
  for (const node of graph.node) {
    names.add(node.name);
    for (const name of node.input) names.add(name);
    for (const inner of innerGraphs(node)) for (const name of namesIn(inner)) names.add(name);
  }
  return names;
}

function definedIn(graph: GraphProto): Set<string> {
  return new Set([
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name ?? ''),
    ...graph.node.flatMap(({ output }) => output),
  ]);
}
