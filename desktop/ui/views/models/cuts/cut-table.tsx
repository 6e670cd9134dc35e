// All cut points as a table: the same as the drawing, for those who can't see it, and to be read off exactly.
import type { ReactNode } from 'react';
import { Foreign } from '../../../components/node-name.tsx';
import { Table } from '../../../components/table.tsx';
import { text } from '../../../text/en.ts';
import { bytes, count, safeText } from '../../../text/format.ts';
import { type CutPoint, fineDuration } from './cut-points.ts';

const { columns } = text.models.cuts;

export interface CutTableProps {
  readonly points: readonly CutPoint[];
  readonly selected: number;
  readonly onSelect: (number: number) => void;
}

export function CutTable({ points, selected, onSelect }: CutTableProps): ReactNode {
  return (
    <div className="max-h-[32rem] overflow-y-auto">
      <Table
        label={text.models.cuts.table}
        rows={points}
        rowKey={({ number }) => String(number)}
        onOpen={({ number }) => onSelect(number)}
        isSelected={({ number }) => number === selected}
        columns={[
          {
            key: 'cut',
            title: columns.cut,
            cell: ({ number }) => (
              <button
                type="button"
                aria-pressed={number === selected}
                className="font-medium underline-offset-2 hover:underline"
              >
                {count(number)}
              </button>
            ),
          },
          {
            key: 'depth',
            title: columns.depth,
            align: 'end',
            wide: true,
            cell: ({ depth }) => `${(depth * 100).toFixed(1)} %`,
          },
          { key: 'crosses', title: columns.crosses, align: 'end', cell: ({ bytes: size }) => bytes(size) },
          { key: 'before', title: columns.before, align: 'end', cell: ({ before }) => fineDuration(before.ms) },
          { key: 'behind', title: columns.behind, align: 'end', cell: ({ behind }) => fineDuration(behind.ms) },
          {
            key: 'weights',
            title: columns.weightsBefore,
            align: 'end',
            wide: true,
            cell: ({ before }) => bytes(before.weightBytes),
          },
          {
            key: 'weights-behind',
            title: columns.weightsBehind,
            align: 'end',
            wide: true,
            cell: ({ behind }) => bytes(behind.weightBytes),
          },
          {
            key: 'tensors',
            title: columns.tensors,
            wide: true,
            grow: true,
            cell: ({ tensors }) => <Names tensors={tensors} />,
          },
        ]}
      />
    </div>
  );
}

function Names({ tensors }: { readonly tensors: CutPoint['tensors'] }): ReactNode {
  const all = tensors.map(({ name }) => safeText(name)).join(', ');
  return (
    <span className="block truncate font-mono text-muted text-xs" title={all}>
      <Foreign>{tensors[0]?.name ?? ''}</Foreign>
      {tensors.length > 1 && ` +${tensors.length - 1}`}
    </span>
  );
}
