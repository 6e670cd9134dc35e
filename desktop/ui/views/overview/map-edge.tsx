// A link of the map: thicker where more goes through, dashed where it goes by a relay; requests travel on it as dots.
import { EdgeLabelRenderer, type EdgeProps } from '@xyflow/react';
import { memo, type ReactNode } from 'react';
import { classes } from '../../components/class-names.ts';
import { nodeColour } from '../../components/node-name.tsx';
import type { Peer } from '../../data/contract.ts';
import { useLive } from '../../data/events.ts';
import { text } from '../../text/en.ts';
import { linkTexts } from './describe.ts';
import { flowAt, flowsOf } from './flows.ts';
import type { MapForm, Place } from './layout.ts';
import './map.css';

export interface LinkEdgeData {
  readonly peer: Peer;
  readonly form: MapForm;
  readonly self: string;
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

function LinkOf({ peer, form, self, to }: LinkEdgeData): ReactNode {
  // One text for each direction: equal texts draw nothing anew.
  const active = useLive(({ requests }) => flowAt(flowsOf(requests, self), peer.node).active);
  const out = useLive(({ requests }) => flowAt(flowsOf(requests, self), peer.node).out.join(' '));
  const back = useLive(({ requests }) => flowAt(flowsOf(requests, self), peer.node).back.join(' '));
  const away = peer.state !== 'connected';
  const path = `M0 0L${to.x} ${to.y}`;
  const relay = peer.link?.path === 'relay';
  return (
    <g style={nodeColour(peer.node)}>
      <path
        d={path}
        fill="none"
        strokeWidth={form.kind === 'compact' ? (active > 0 ? 2 : 1) : widthOf(peer.link?.goodputBytesPerSecond)}
        strokeDasharray={away ? '2 6' : relay ? '7 4' : undefined}
        className={classes(
          'transition-[stroke] duration-300',
          away
            ? 'stroke-line'
            : active > 0
              ? 'map-link-active'
              : form.kind === 'compact'
                ? 'stroke-line'
                : 'stroke-line-strong',
        )}
      />
      {dots(out, path, 'map-dot-out')}
      {dots(back, path, 'map-dot-back')}
      {form.kind === 'labelled' && !away && <LinkLabel peer={peer} to={to} form={form} relay={relay} />}
    </g>
  );
}

const dots = (ids: string, path: string, className: string): ReactNode =>
  ids === ''
    ? null
    : ids
        .split(' ')
        .map((id) => (
          <circle key={id} r="4" className={`map-dot ${className}`} style={{ offsetPath: `path("${path}")` }} />
        ));

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
