// The map of the mesh: this node in the middle, links to the others, requests that travel on them. Comes with React Flow, so it is loaded
// when the overview is opened on a screen that has room for it.
import { type Edge, type Node, ReactFlow, ReactFlowProvider, useReactFlow } from '@xyflow/react';
import '@xyflow/react/dist/base.css';
import { type ReactNode, useEffect, useMemo, useRef } from 'react';
import type { StatusAnswer } from '../../../../protocol/api/control.ts';
import type { Peer } from '../../data/contract.ts';
import { text } from '../../text/en.ts';
import { assignSlots, formFor, type MapForm, placeOf } from './layout.ts';
import { LinkEdge, type LinkEdgeData } from './map-edge.tsx';
import { type MapNodeData, PeerNode, SelfNode } from './map-node.tsx';

const NODE_TYPES = { self: SelfNode, peer: PeerNode };
const EDGE_TYPES = { link: LinkEdge };

/** Around the outermost nodes, as a share of the map. */
const PADDING = 0.06;

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

  const nodes = useMemo<Node<MapNodeData>[]>(
    () => [
      {
        id: status.node,
        type: 'self',
        position: topLeft({ x: 0, y: 0 }, form),
        data: { form, status, holds },
        ...size(form),
      },
      ...peers.map((peer) => ({
        id: peer.node,
        type: 'peer',
        position: topLeft(placeOf(slots.get(peer.node) ?? 0, form), form),
        data: { form, peer, self: status.node },
        ...size(form),
      })),
    ],
    [status, peers, holds, form, slots],
  );
  const edges = useMemo<Edge<LinkEdgeData>[]>(
    () =>
      peers.map((peer) => ({
        id: peer.node,
        type: 'link',
        source: status.node,
        target: peer.node,
        data: { peer, form, self: status.node, to: placeOf(slots.get(peer.node) ?? 0, form) },
      })),
    [status.node, peers, form, slots],
  );

  // Seen whole again when nodes come or go, and when the window changes.
  const extent = [...slots.values()].reduce((most, slot) => Math.max(most, slot), -1);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the form and the extent are what the fit depends on
  useEffect(() => {
    const fit = (): void => void fitView({ padding: PADDING, maxZoom: 1, minZoom: 0.3 });
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
    <section ref={box} aria-label={text.overview.mapLabel} className="h-full w-full">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        fitView
        fitViewOptions={{ padding: PADDING, maxZoom: 1, minZoom: 0.3 }}
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

const topLeft = ({ x, y }: { readonly x: number; readonly y: number }, { nodeWidth, nodeHeight }: MapForm) => ({
  x: x - nodeWidth / 2,
  y: y - nodeHeight / 2,
});

const size = ({ nodeWidth, nodeHeight }: MapForm) => ({ width: nodeWidth, height: nodeHeight });
