// The mesh as a table: the same as the map, for narrow screens, for those who read by ear, and for those who like tables.
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import type { StatusAnswer } from '../../../../protocol/api/control.ts';
import { StateDot } from '../../components/badge.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import type { Peer } from '../../data/contract.ts';
import { text } from '../../text/en.ts';
import { hardwareText, holdsText, linkTexts, loadText, peerLoadText, STATE_TONES } from './describe.ts';

interface Row {
  readonly node: string;
  readonly name: string;
  readonly self: boolean;
  readonly state: Peer['state'];
  readonly hardware: string;
  readonly holds: string;
  readonly load: string;
  readonly link: string;
}

const words = text.overview;

const COLUMNS: readonly Column<Row>[] = [
  {
    key: 'node',
    title: words.columns.node,
    cell: ({ node, name, self, holds, load, link, state }) => (
      <div className="max-w-[calc(100vw-4.5rem)]">
        <Link href={`/nodes/${encodeURIComponent(node)}`} className="hover:underline">
          <NodeName node={node} name={name} self={self} />
        </Link>
        <p className="truncate pl-3.5 text-faint text-xs sm:hidden">
          {(state === 'connected' ? [holds, load, link] : [words.states[state], holds]).filter(Boolean).join(' · ')}
        </p>
      </div>
    ),
  },
  {
    key: 'state',
    title: words.columns.state,
    wide: true,
    cell: ({ state }) => <StateDot tone={STATE_TONES[state]}>{words.states[state]}</StateDot>,
  },
  { key: 'hardware', title: words.columns.hardware, wide: true, cell: ({ hardware }) => hardware },
  {
    key: 'holds',
    title: words.columns.holds,
    wide: true,
    grow: true,
    cell: ({ holds }) => <p className="truncate">{holds}</p>,
  },
  { key: 'load', title: words.columns.load, align: 'end', wide: true, cell: ({ load }) => load },
  { key: 'link', title: words.columns.link, align: 'end', wide: true, cell: ({ link }) => link },
];

export interface MeshListProps {
  readonly status: StatusAnswer;
  readonly peers: readonly Peer[];
  /** What this node has in memory, in words. */
  readonly holds: string;
}

export function MeshList({ status, peers, holds }: MeshListProps): ReactNode {
  const [, navigate] = useLocation();
  const rows: readonly Row[] = [
    {
      node: status.node,
      name: status.name,
      self: true,
      state: 'connected',
      hardware: hardwareText(status.hardware),
      holds,
      load: loadText(status.load),
      link: '',
    },
    ...peers.map((peer) => ({
      node: peer.node,
      name: peer.name,
      self: false,
      state: peer.state,
      hardware: hardwareText(peer.hardware),
      holds: holdsText(peer.offers),
      load: peer.state === 'connected' ? peerLoadText(peer) : '',
      link: peer.state === 'connected' ? linkTexts(peer.link).join(' · ') : '',
    })),
  ];
  return (
    <Table
      label={words.listLabel}
      columns={COLUMNS}
      rows={rows}
      rowKey={({ node }) => node}
      onOpen={({ node }) => navigate(`/nodes/${encodeURIComponent(node)}`)}
    />
  );
}
