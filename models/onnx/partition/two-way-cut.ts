// The best way to share a graph between two devices, of all there are: a minimum cut (Hu et al., "Dynamic Adaptive DNN
// Surgery", INFOCOM 2019). Chains are judged by it: it need not leave the order of one.
import { FlowNetwork, SINK, SOURCE } from './minimum-cut.ts';
import type { Step, StepGraph, StepTensor } from './step-graph.ts';

/** Prices in milliseconds; Infinity for what must not be. */
export interface TwoWayPrices {
  /** Of a step on the device that has the graph's inputs. */
  near(step: Step): number;
  /** Of a step on the other one. */
  far(step: Step): number;
  /** Of a tensor that crosses from the first to the second. */
  crossing(tensor: StepTensor): number;
}

/**
 * What crosses goes one way only; what the outputs cost on their way back is the same for every cut, but for the one that
 * leaves nothing to the second device.
 * @returns its price, and the places of the steps of the second device
 */
export function twoWayCut(
  graph: StepGraph,
  prices: TwoWayPrices,
): { readonly ms: number; readonly far: ReadonlySet<number> } {
  const network = new FlowNetwork();
  const steps = graph.steps.map(() => network.addNode());
  for (const [place, step] of graph.steps.entries()) {
    // Cut away from its source it runs far, and the other way round.
    network.addArc(SOURCE, steps[place] as number, prices.far(step));
    network.addArc(steps[place] as number, SINK, prices.near(step));
  }
  const tensors = graph.tensors.map((tensor) => {
    const node = network.addNode();
    const maker = tensor.from < 0 ? SOURCE : (steps[tensor.from] as number);
    network.addArc(maker, node, prices.crossing(tensor));
    return node;
  });
  for (const [place, { uses }] of graph.steps.entries()) {
    const node = steps[place] as number;
    for (const tensor of uses) {
      network.addArc(tensors[tensor] as number, node, Number.POSITIVE_INFINITY);
      // Nothing comes back: who uses what the second device made is there too.
      const maker = graph.tensors[tensor]?.from ?? -1;
      if (maker >= 0) network.addArc(node, steps[maker] as number, Number.POSITIVE_INFINITY);
    }
  }
  const { value, far } = network.cut();
  return {
    ms: value,
    far: new Set(graph.steps.flatMap((_, place) => (far.has(steps[place] as number) ? [place] : []))),
  };
}
