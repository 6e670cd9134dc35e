// Every model that a node of the mesh has on its disk: which nodes, whole or part of it, loaded or not.
import { Download } from 'lucide-react';
import type { ReactNode } from 'react';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Bytes } from '../../components/figures.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import { text } from '../../text/en.ts';
import { bytes, percent, safeName, shortModel } from '../../text/format.ts';
import { ModelName } from './model-name.tsx';
import type { MeshRow } from './model-rows.ts';

/** Names that one row shows; the page of the model has all. */
const NODES_SHOWN_MAX = 4;

export interface MeshListProps {
  readonly rows: readonly MeshRow[];
  readonly onPull: (name: string) => void;
  /** What is asked for at this moment. */
  readonly pulling: string | undefined;
}

export function MeshList({ rows, onPull, pulling }: MeshListProps): ReactNode {
  const columns: readonly Column<MeshRow>[] = [
    {
      key: 'model',
      title: text.models.columns.model,
      grow: true,
      cell: (row) => (
        <>
          <ModelName id={row.id} address={row.address} task={row.task} form={row.form} />
          <div className="flex flex-wrap items-baseline gap-x-3 text-xs sm:hidden">
            <span className="tabular text-muted">{bytes(row.sizeBytes)}</span>
            <Holders row={row} />
          </div>
        </>
      ),
    },
    {
      key: 'size',
      title: text.models.columns.size,
      align: 'end',
      wide: true,
      cell: ({ sizeBytes }) => <Bytes value={sizeBytes} />,
    },
    { key: 'nodes', title: text.models.columns.nodes, wide: true, cell: (row) => <Holders row={row} /> },
    {
      key: 'actions',
      title: '',
      align: 'end',
      cell: (row) =>
        row.here ? (
          <Badge>{text.models.hereToo}</Badge>
        ) : (
          <Button
            size="small"
            icon={<Download />}
            busy={pulling === row.pullName}
            aria-label={text.models.actions.pullOf(safeName(shortModel(row.id)))}
            onClick={() => onPull(row.pullName)}
          >
            {text.models.actions.pullShort}
          </Button>
        ),
    },
  ];
  return <Table label={text.models.mesh} columns={columns} rows={rows} rowKey={({ digest }) => digest} />;
}

export function Holders({ row }: { readonly row: MeshRow }): ReactNode {
  const shown = row.nodes.slice(0, NODES_SHOWN_MAX);
  return (
    <ul className="flex flex-wrap gap-x-3 gap-y-0.5 py-0.5 text-xs">
      {shown.map(({ node, name, self, share, loaded }) => (
        <li key={node} className="inline-flex items-center gap-1">
          <NodeName node={node} name={name} self={self} className="max-w-36" />
          {share < 1 ? (
            <span className="tabular text-warn">{percent(share)}</span>
          ) : loaded ? (
            <span className="text-good">{text.models.states.loaded}</span>
          ) : null}
        </li>
      ))}
      {row.nodes.length > shown.length && <li className="text-faint">+{row.nodes.length - shown.length}</li>}
    </ul>
  );
}
