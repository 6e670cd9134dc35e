// The map of the mesh: this node in the middle, links to the others, requests that travel on them. Comes with React Flow, so it is loaded
// when the overview is opened on a screen that has room for it.
import { type Edge, type Node, ReactFlow, ReactFlowProvider, useReactFlow } from '@xyflow/react';
import '@xyflow/react/dist/base.css';
import { type ReactNode, useEffect, useMemo, useRef } from 'react';
import type { StatusAnswer } from '../../../../protocol/api/control.ts';
import type { Peer } from '../../data/contract.ts';
import { text } from '../../text/en.ts';
import { peerInWords } from './describe.ts';
import { assignSlots, formFor, type MapForm, type Place, placeOf } from './layout.ts';
import { MapDots } from './map-dots.tsx';
import { LinkEdge, type LinkEdgeData } from './map-edge.tsx';
import { type MapNodeData, PeerNode, SelfNode } from './map-node.tsx';

const NODE_TYPES = { self: SelfNode, peer: PeerNode };
const EDGE_TYPES = { link: LinkEdge };

/** Of this node. */
const HOME: Place = { x: 0, y: 0 };

/** Around the outermost nodes, as a share of the map. */
const PADDING = 0.06;

/** Where there is no room for all, the middle is shown so that it can be read; the rest is a drag away. */
const fitOf = ({ kind }: MapForm) => ({ padding: PADDING, maxZoom: 1, minZoom: kind === 'compact' ? 0.4 : 0.6 });

export interface MeshMapProps {
  readonly status: StatusAnswer;
  readonly peers: readonly Peer[];
  /** What this node has in memory, in words. */
  readonly holds: string;
}

export function MeshMap(props: MeshMapProps): ReactNode {
  return (
    <ReactFlowProvider>
      <Canvas {...props} />
    </ReactFlowProvider>
  );
}

function Canvas({ status, peers, holds }: MeshMapProps): ReactNode {
  const box = useRef<HTMLElement>(null);
  const { fitView } = useReactFlow();
  const form = formFor(peers.length);
  const slots = useSlots(peers);

  const places = useMemo(() => new Map([...slots].map(([node, slot]) => [node, placeOf(slot, form)])), [slots, form]);
  const drawn = useDrawn(peers, form, places, status.node);
  const nodes = useMemo<Node<MapNodeData>[]>(
    () => [
      { id: status.node, type: 'self', position: topLeft(HOME, form), data: { form, status, holds }, ...size(form) },
      ...drawn.map(({ node }) => node),
    ],
    [status, holds, form, drawn],
  );
  const edges = useMemo(() => drawn.map(({ edge }) => edge), [drawn]);

  // Seen whole again when nodes come or go, and when the window changes.
  const extent = [...slots.values()].reduce((most, slot) => Math.max(most, slot), -1);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the form and the extent are what the fit depends on
  useEffect(() => {
    const fit = (): void => void fitView(fitOf(form));
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    const frame = requestAnimationFrame(fit);
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
    };
  }, [fitView, form.kind, extent]);

  return (
    <section ref={box} aria-label={text.overview.mapLabel} className="relative h-full w-full">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        fitView
        fitViewOptions={fitOf(form)}
        minZoom={0.3}
        maxZoom={2}
        nodesDraggable={false}
        nodesConnectable={false}
        // The nodes are links themselves: those take the focus.
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        zoomOnScroll={false}
        zoomOnDoubleClick={false}
        preventScrolling={false}
        attributionPosition="bottom-left"
      />
      <MapDots places={places} form={form} />
    </section>
  );
}

/** Slots of the nodes that are shown, kept while the map is. */
function useSlots(peers: readonly Peer[]): ReadonlyMap<string, number> {
  const kept = useRef<ReadonlyMap<string, number>>(new Map());
  const ids = peers
    .map(({ node }) => node)
    .sort()
    .join(' ');
  return useMemo(() => {
    kept.current = assignSlots(kept.current, ids === '' ? [] : ids.split(' '));
    return kept.current;
  }, [ids]);
}

interface Drawn {
  /** All that is seen of it. */
  readonly seen: string;
  readonly node: Node<MapNodeData>;
  readonly edge: Edge<LinkEdgeData>;
}

/** Peers as nodes and links. Those of which nothing that is seen has changed stay the same objects, and are not drawn anew. */
function useDrawn(
  peers: readonly Peer[],
  form: MapForm,
  places: ReadonlyMap<string, Place>,
  self: string,
): readonly Drawn[] {
  const kept = useRef<ReadonlyMap<string, Drawn>>(new Map());
  return useMemo(() => {
    const drawn = peers.map((peer): Drawn => {
      const place = places.get(peer.node) ?? HOME;
      const seen = `${self} ${form.kind} ${place.x} ${place.y} ${peerInWords(peer)}`;
      const before = kept.current.get(peer.node);
      if (before?.seen === seen) return before;
      return {
        seen,
        node: { id: peer.node, type: 'peer', position: topLeft(place, form), data: { form, peer }, ...size(form) },
        edge: { id: peer.node, type: 'link', source: self, target: peer.node, data: { peer, form, to: place } },
      };
    });
    kept.current = new Map(drawn.map((one) => [one.node.id, one]));
    return drawn;
  }, [peers, form, places, self]);
}

const topLeft = ({ x, y }: Place, { nodeWidth, nodeHeight }: MapForm) => ({
  x: x - nodeWidth / 2,
  y: y - nodeHeight / 2,
});

const size = ({ nodeWidth, nodeHeight }: MapForm) => ({ width: nodeWidth, height: nodeHeight });
