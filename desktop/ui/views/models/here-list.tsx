// The models of this node's disk: how each stands, what it takes, and what can be done with it.
import type { ReactNode } from 'react';
import type { PsAnswer } from '../../../../protocol/api/control.ts';
import { Ago, Bytes } from '../../components/figures.tsx';
import { Foreign } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import { text } from '../../text/en.ts';
import { bytes, count, safeName } from '../../text/format.ts';
import { ModelActions } from './model-actions.tsx';
import { ModelName } from './model-name.tsx';
import type { HereRow } from './model-rows.ts';
import { ModelState } from './model-state.tsx';

const { columns } = text.models;

const COLUMNS: readonly Column<HereRow>[] = [
  {
    key: 'model',
    title: columns.model,
    grow: true,
    cell: (row) => (
      <>
        <ModelName id={row.id} address={row.address} task={row.task} form={row.form} />
        <div className="mt-0.5 flex flex-wrap gap-x-3 text-xs sm:hidden">
          <ModelState row={row} />
          <span className="tabular text-muted">{bytes(row.sizeBytes)}</span>
        </div>
      </>
    ),
  },
  { key: 'size', title: columns.size, align: 'end', wide: true, cell: ({ sizeBytes }) => <Bytes value={sizeBytes} /> },
  { key: 'state', title: columns.state, wide: true, cell: (row) => <ModelState row={row} /> },
  { key: 'memory', title: columns.memory, wide: true, cell: (row) => <Memory row={row} /> },
  {
    key: 'actions',
    title: '',
    align: 'end',
    cell: (row) => <ModelActions row={row} small />,
  },
];

function Memory({ row }: { readonly row: HereRow }): ReactNode {
  if (row.residentBytes === 0) return <span className="text-faint">–</span>;
  return (
    <div>
      <Bytes value={row.residentBytes} />
      <p className="text-faint text-xs">
        {row.requestsInFlight > 0 ? (
          text.models.inFlight(count(row.requestsInFlight))
        ) : row.pinned ? (
          text.models.pinned
        ) : row.idleUntilMs === undefined ? null : (
          <Leaves atMs={row.idleUntilMs} />
        )}
      </p>
    </div>
  );
}

/** When an idle model goes, in words that don't need another tick. */
const Leaves = ({ atMs }: { readonly atMs: number }): ReactNode => (
  <>
    {text.models.leaves} <Ago atMs={atMs} />
  </>
);

export function HereList({
  rows,
  parts,
}: {
  readonly rows: readonly HereRow[];
  readonly parts: PsAnswer['models'];
}): ReactNode {
  return (
    <>
      <Table label={text.models.here} columns={COLUMNS} rows={rows} rowKey={({ digest }) => digest} />
      {parts.length > 0 && (
        <ul className="border-line border-t text-sm">
          {parts.map(({ digest, part, residentBytes }) => (
            <li key={digest} className="flex flex-wrap gap-x-3 border-line border-b px-4 py-2 last:border-b-0">
              <span className="font-medium">{text.models.partOf(safeName(part?.model ?? ''))}</span>
              <span className="min-w-0 truncate text-muted text-xs">
                <Foreign>{part?.inputs.join(', ') ?? ''}</Foreign> → <Foreign>{part?.outputs.join(', ') ?? ''}</Foreign>
              </span>
              <span className="tabular ml-auto text-muted">{bytes(residentBytes)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
