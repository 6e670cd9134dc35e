import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowNetwork, SINK, SOURCE } from '../../../../models/onnx/partition/minimum-cut.ts';
import { stepGraph } from '../../../../models/onnx/partition/step-graph.ts';
import { twoWayCut } from '../../../../models/onnx/partition/two-way-cut.ts';
import { runs } from '../../../support/property.ts';
import { randomGraph } from '../../../support/random-graph.ts';
import { SeededRandom } from '../../../support/seeded.ts';

type Arc = readonly [from: number, to: number, capacity: number];

const networkOf = (nodes: number, arcs: readonly Arc[]): FlowNetwork => {
  const network = new FlowNetwork();
  for (let node = 2; node < nodes; node++) network.addNode();
  for (const [from, to, capacity] of arcs) network.addArc(from, to, capacity);
  return network;
};

const price = (arcs: readonly Arc[], far: (node: number) => boolean): number =>
  arcs.reduce((sum, [from, to, capacity]) => sum + (!far(from) && far(to) ? capacity : 0), 0);

describe('a minimum cut', () => {
  it('is the cheapest of all, with the fewest nodes at the sink', () => {
    const arc = (nodes: number) =>
      fc.tuple(
        fc.nat(nodes - 1),
        fc.nat(nodes - 1),
        fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(Number.POSITIVE_INFINITY)),
      );
    const networks = fc
      .integer({ min: 2, max: 8 })
      .chain((nodes) => fc.tuple(fc.constant(nodes), fc.array(arc(nodes), { maxLength: 24 })));
    fc.assert(
      fc.property(networks, ([nodes, arcs]) => {
        let best = { value: Number.POSITIVE_INFINITY, size: 0 };
        for (let set = 0; set < 1 << nodes; set++) {
          const far = (node: number): boolean => (set & (1 << node)) !== 0;
          if (far(SOURCE) || !far(SINK)) continue;
          const value = price(arcs, far);
          const size = Array.from({ length: nodes }, (_, node) => node).filter(far).length;
          if (value < best.value || (value === best.value && size < best.size)) best = { value, size };
        }
        const { value, far } = networkOf(nodes, arcs).cut();
        expect(value).toBe(best.value);
        if (value === Number.POSITIVE_INFINITY) return;
        expect(price(arcs, (node) => far.has(node))).toBe(value);
        expect(far.size).toBe(best.size);
      }),
      runs(500),
    );
  });
});

describe('sharing a graph between two devices', () => {
  it('finds what no other way beats', () => {
    const inits = fc.record({ seed: fc.nat(), steps: fc.integer({ min: 1, max: 2 }), exact: fc.constant(true) });
    fc.assert(
      fc.property(inits, (init) => {
        const random = new SeededRandom(init.seed);
        const { model } = randomGraph(init);
        const graph = stepGraph(model, { ms: () => 1, tensor: () => ({ type: 'float32', bytes: 1 }) });
        const { steps, tensors } = graph;
        fc.pre(steps.length <= 12);
        const [near, far] = [steps.map(() => random.between(0, 9)), steps.map(() => random.between(0, 9))];
        const crossing = tensors.map(() => random.between(0, 9));
        let best = Number.POSITIVE_INFINITY;
        for (let set = 0; set < 1 << steps.length; set++) {
          const isFar = (place: number): boolean => place >= 0 && (set & (1 << place)) !== 0;
          const comesBack = steps.some(
            ({ uses }, place) => !isFar(place) && uses.some((tensor) => isFar(tensors[tensor]?.from ?? -1)),
          );
          if (comesBack) continue;
          let ms = steps.reduce((sum, _, place) => sum + ((isFar(place) ? far : near)[place] as number), 0);
          for (const [tensor, { from }] of tensors.entries()) {
            const crosses = !isFar(from) && steps.some(({ uses }, place) => isFar(place) && uses.includes(tensor));
            if (crosses) ms += crossing[tensor] as number;
          }
          best = Math.min(best, ms);
        }
        const found = twoWayCut(graph, {
          near: (step) => near[steps.indexOf(step)] as number,
          far: (step) => far[steps.indexOf(step)] as number,
          crossing: (tensor) => crossing[tensors.indexOf(tensor)] as number,
        });
        expect(found.ms).toBe(best);
      }),
      runs(100),
    );
  });
});
