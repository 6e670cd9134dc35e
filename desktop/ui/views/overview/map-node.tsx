// Nodes as they stand on the map: a card, or a name alone where there are many.
import { Handle, type NodeProps, Position } from '@xyflow/react';
import { memo, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { StatusAnswer } from '../../../../protocol/api/control.ts';
import { classes } from '../../components/class-names.ts';
import { nodeColour } from '../../components/node-name.tsx';
import type { Peer } from '../../data/contract.ts';
import { useLive } from '../../data/events.ts';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';
import { hardwareText, holdsText, linkTexts, loadShare, loadText, peerLoadText } from './describe.ts';
import { activeByNode } from './flows.ts';
import type { MapForm } from './layout.ts';

export type MapNodeData =
  | { readonly form: MapForm; readonly status: StatusAnswer; readonly holds: string; readonly [key: string]: unknown }
  | { readonly form: MapForm; readonly peer: Peer; readonly [key: string]: unknown };

/** Links end in the middle, behind the card. */
const HIDDEN = '!pointer-events-none !top-1/2 !left-1/2 !size-0 !min-h-0 !min-w-0 !border-0 !opacity-0';

export const SelfNode = memo(function SelfNode({ data }: NodeProps & { readonly data: MapNodeData }): ReactNode {
  const { form, status, holds } = data as Extract<MapNodeData, { status: unknown }>;
  const active = useLive(({ requests }) => activeByNode(requests).has(status.node));
  return (
    <>
      <Handle type="source" position={Position.Top} className={HIDDEN} />
      <CardOf
        node={status.node}
        name={status.name}
        form={form}
        self
        active={active}
        lines={[hardwareText(status.hardware), holds, loadText(status.load)]}
        load={loadShare(status.load)}
      />
    </>
  );
});

export const PeerNode = memo(function PeerNode({ data }: NodeProps & { readonly data: MapNodeData }): ReactNode {
  const { form, peer } = data as Extract<MapNodeData, { peer: unknown }>;
  const active = useLive(({ requests }) => activeByNode(requests).has(peer.node));
  const away = peer.state !== 'connected';
  const links = form.kind === 'full' ? linkTexts(peer.link) : [];
  return (
    <>
      <Handle type="target" position={Position.Top} className={HIDDEN} />
      <CardOf
        node={peer.node}
        name={peer.name}
        form={form}
        active={active}
        state={peer.state}
        withheld={peer.withheld}
        lines={[
          hardwareText(peer.hardware),
          holdsText(peer.offers),
          away ? text.overview.states[peer.state] : [...links, peerLoadText(peer)].join(' · '),
        ]}
        load={away ? 0 : loadShare(peer.load)}
      />
    </>
  );
});

interface CardProps {
  readonly node: string;
  readonly name: string;
  readonly form: MapForm;
  readonly lines: readonly string[];
  /** 0 to 1. */
  readonly load: number;
  readonly active: boolean;
  readonly self?: boolean;
  readonly state?: Peer['state'];
  readonly withheld?: Peer['withheld'];
}

function CardOf(props: CardProps): ReactNode {
  const { node, name, form, lines, load, active, self = false, state = 'connected', withheld } = props;
  const compact = form.kind === 'compact';
  const said = [
    ...(state === 'connected' ? [] : [text.overview.states[state]]),
    ...(withheld === undefined ? [] : [text.overview.withheld[withheld]]),
  ];
  const word = said.map((each) => `, ${each}`).join('');
  const brief = form.kind === 'brief';
  const shown = compact ? [] : brief ? lines.slice(1, 2) : lines;
  // A whole card says its state in its last line.
  const unsaid = `${self && (compact || brief) ? `, ${text.common.thisNode}` : ''}${compact || brief ? word : ''}`;
  return (
    <Link
      href={`/nodes/${encodeURIComponent(node)}`}
      title={compact || brief ? `${safeName(name)}${word}\n${lines.join('\n')}` : undefined}
      style={{ ...nodeColour(node), width: form.nodeWidth, height: form.nodeHeight }}
      className={classes(
        'nopan relative flex flex-col overflow-hidden rounded-lg border bg-panel hover:border-node',
        compact ? 'justify-center px-2' : brief ? 'justify-center px-2.5' : 'px-3 py-2',
        state === 'gone'
          ? 'border-line border-dashed text-faint'
          : self
            ? 'border-2 border-accent'
            : 'border-line-strong',
        active && !self && 'border-node',
      )}
    >
      <span className="flex min-w-0 items-center gap-1.5">
        <span
          aria-hidden
          className={classes(
            'size-2 shrink-0 rounded-[2px]',
            state === 'connected' ? 'bg-node' : state === 'suspect' ? 'bg-warn' : 'border border-faint',
          )}
        />
        <bdi className={classes('truncate', compact ? 'text-xs' : 'font-semibold text-sm')}>{safeName(name)}</bdi>
        {unsaid !== '' && <span className="sr-only">{unsaid}</span>}
        {self && !compact && !brief && (
          <span className="ml-auto shrink-0 text-accent text-xs">{text.common.thisNode}</span>
        )}
      </span>
      {shown.map((line, at) => (
        <span key={line} className={classes('truncate text-xs', at === 0 ? 'text-muted' : 'text-faint')}>
          {line}
        </span>
      ))}
      <span
        aria-hidden
        className={classes('absolute bottom-0 left-0 h-[3px] bg-node', load === 0 && 'hidden')}
        style={{ width: `${Math.max(4, load * 100)}%` }}
      />
    </Link>
  );
}
