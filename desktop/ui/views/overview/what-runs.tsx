// What runs where: the models of the mesh, and the nodes that have them.
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import type { ModelsAnswer } from '../../../../protocol/api/control.ts';
import { Badge } from '../../components/badge.tsx';
import { Card } from '../../components/card.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import { useModels } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, safeName } from '../../text/format.ts';

type Model = ModelsAnswer['models'][number];

const words = text.overview;

/** Nodes that are named for one model; the rest is counted. */
const NODES_SHOWN = 4;

const ROWS = 8;

const COLUMNS: readonly Column<Model>[] = [
  {
    key: 'model',
    title: words.model,
    cell: ({ id, nodes }) => (
      <div className="min-w-0">
        <Link href={`/models/${id}`} className="block max-w-[16rem] truncate hover:underline sm:max-w-sm">
          <bdi>{safeName(id)}</bdi>
        </Link>
        <div className="sm:hidden">
          <Nodes nodes={nodes} />
        </div>
      </div>
    ),
  },
  { key: 'task', title: words.task, wide: true, cell: ({ task }) => <Badge>{safeName(task)}</Badge> },
  { key: 'size', title: words.size, align: 'end', wide: true, cell: ({ sizeBytes }) => bytes(sizeBytes) },
  { key: 'where', title: words.where, grow: true, wide: true, cell: ({ nodes }) => <Nodes nodes={nodes} /> },
];

export function WhatRuns(): ReactNode {
  const [, navigate] = useLocation();
  const { data, error, refetch } = useModels();
  const models = [...(data?.models ?? [])].sort((a, b) => loadedAt(b) - loadedAt(a) || b.nodes.length - a.nodes.length);
  return (
    <Card
      title={words.whatRuns}
      flush
      actions={
        <Link href="/models" className="text-accent text-xs hover:underline">
          {words.allModels}
        </Link>
      }
    >
      {error !== null ? (
        <div className="p-4">
          <Failed error={error} onRetry={() => void refetch()} />
        </div>
      ) : data === undefined ? (
        <Skeleton className="p-4" />
      ) : models.length === 0 ? (
        <Empty title={words.noModels}>{words.noModelsText}</Empty>
      ) : (
        <Table
          label={words.whatRuns}
          columns={COLUMNS}
          rows={models.slice(0, ROWS)}
          rowKey={({ id, precision }) => `${id} ${precision ?? ''}`}
          onOpen={({ id }) => navigate(`/models/${id}`)}
        />
      )}
    </Card>
  );
}

const loadedAt = ({ nodes }: Model): number => nodes.filter(({ state }) => state === 'loaded').length;

function Nodes({ nodes }: Pick<Model, 'nodes'>): ReactNode {
  const sorted = [...nodes].sort((a, b) => Number(b.state === 'loaded') - Number(a.state === 'loaded'));
  return (
    <ul className="flex min-w-0 flex-wrap gap-x-4 gap-y-0.5 text-xs">
      {sorted.slice(0, NODES_SHOWN).map(({ node, name, self, state }) => (
        <li key={node} className="flex min-w-0 items-baseline gap-1.5">
          <NodeName node={node} name={name} self={self} />
          <span className={state === 'loaded' ? 'text-good' : 'text-faint'}>
            {state === 'loaded' ? words.loaded : words.available}
          </span>
        </li>
      ))}
      {nodes.length > NODES_SHOWN && <li className="text-faint">{words.moreModels(nodes.length - NODES_SHOWN)}</li>}
    </ul>
  );
}
