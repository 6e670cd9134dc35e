// A link of the map: thicker where more goes through, dashed where it goes by a relay, in the node's colour while it is at work.
import { EdgeLabelRenderer, type EdgeProps } from '@xyflow/react';
import { memo, type ReactNode } from 'react';
import { classes } from '../../components/class-names.ts';
import { nodeColour } from '../../components/node-name.tsx';
import type { Peer } from '../../data/contract.ts';
import { useLive } from '../../data/events.ts';
import { text } from '../../text/en.ts';
import { linkTexts } from './describe.ts';
import { activeByNode } from './flows.ts';
import type { MapForm, Place } from './layout.ts';
import './map.css';

export interface LinkEdgeData {
  readonly peer: Peer;
  readonly form: MapForm;
  readonly to: Place;
  readonly [key: string]: unknown;
}

/** Between 1 Mbit/s and 10 Gbit/s, from 1 to 4 pixels. */
function widthOf(bytesPerSecond: number | undefined): number {
  if (bytesPerSecond === undefined) return 1;
  return 1 + 3 * Math.min(1, Math.max(0, Math.log10(bytesPerSecond / 125_000) / 4));
}

export const LinkEdge = memo(function LinkEdge({ data }: EdgeProps & { readonly data?: LinkEdgeData }): ReactNode {
  if (data === undefined) return null;
  return <LinkOf {...data} />;
});

function LinkOf({ peer, form, to }: LinkEdgeData): ReactNode {
  const active = useLive(({ requests }) => activeByNode(requests).has(peer.node));
  const away = peer.state !== 'connected';
  const path = `M0 0L${to.x} ${to.y}`;
  const relay = peer.link?.path === 'relay';
  return (
    <g style={nodeColour(peer.node)}>
      <path
        d={path}
        fill="none"
        strokeWidth={form.kind === 'compact' ? (active ? 2 : 0.75) : widthOf(peer.link?.goodputBytesPerSecond)}
        strokeDasharray={away ? '2 6' : relay ? '7 4' : undefined}
        className={classes(away ? 'stroke-line' : active ? 'map-link-active' : 'stroke-line-strong')}
      />
      {form.kind === 'labelled' && !away && <LinkLabel peer={peer} to={to} form={form} relay={relay} />}
    </g>
  );
}

/** Between the two cards: where the line is free of both. */
function LinkLabel({
  peer,
  to,
  form,
  relay,
}: {
  readonly peer: Peer;
  readonly to: Place;
  readonly form: MapForm;
  readonly relay: boolean;
}): ReactNode {
  const lines = linkTexts(peer.link);
  if (lines.length === 0) return null;
  const level = Math.abs(to.y) < form.nodeHeight / 2;
  return (
    <EdgeLabelRenderer>
      <div
        title={text.overview.rtt}
        style={{ transform: `translate(-50%, -50%) translate(${to.x / 2}px, ${to.y / 2}px)` }}
        className={classes(
          'tabular pointer-events-none absolute flex rounded-sm bg-panel px-1 text-[11px] text-muted leading-4',
          level ? 'flex-col items-center' : 'gap-1.5',
        )}
      >
        {lines.map((line) => (
          <span key={line} className="whitespace-nowrap">
            {line}
          </span>
        ))}
        {relay && <span>{text.overview.relay}</span>}
      </div>
    </EdgeLabelRenderer>
  );
}
