// Models with a short name: what each is good for, whether it is here or on the mesh already, and a button to pull it.
import { Download } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Foreign } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import { text } from '../../text/en.ts';
import { plural } from '../../text/format.ts';
import { type CatalogueRow, modelHref, taskWord } from './model-rows.ts';

export interface CatalogueListProps {
  readonly rows: readonly CatalogueRow[];
  readonly onPull: (name: string) => void;
  readonly pulling: string | undefined;
}

export function CatalogueList({ rows, onPull, pulling }: CatalogueListProps): ReactNode {
  const columns: readonly Column<CatalogueRow>[] = [
    {
      key: 'model',
      title: text.models.columns.model,
      grow: true,
      cell: ({ name, id, task, description, here, nodes }) => (
        <>
          <p className="flex items-baseline gap-2">
            <span className="truncate font-medium">{name}</span>
            <span className="shrink-0 text-faint text-xs sm:hidden">{taskWord(task)}</span>
          </p>
          <p className="truncate text-muted text-xs">{description}</p>
          <p className="truncate text-faint text-xs">
            {here || nodes > 0 ? (
              <Link href={modelHref(id)} className="underline-offset-2 hover:underline">
                <Foreign>{id}</Foreign>
              </Link>
            ) : (
              <Foreign>{id}</Foreign>
            )}
          </p>
        </>
      ),
    },
    { key: 'task', title: text.models.columns.task, wide: true, cell: ({ task }) => <Badge>{taskWord(task)}</Badge> },
    {
      key: 'actions',
      title: '',
      align: 'end',
      cell: ({ name, here, nodes }) =>
        here ? (
          <Badge>{text.models.hereToo}</Badge>
        ) : (
          <div className="flex items-center justify-end gap-3">
            {nodes > 0 && (
              <span className="text-muted text-xs max-sm:hidden">{text.models.onMesh(plural(nodes, 'node'))}</span>
            )}
            <Button
              size="small"
              icon={<Download />}
              busy={pulling === name}
              aria-label={text.models.actions.pullOf(name)}
              onClick={() => onPull(name)}
            >
              {text.models.actions.pullShort}
            </Button>
          </div>
        ),
    },
  ];
  return <Table label={text.models.catalogue} columns={columns} rows={rows} rowKey={({ name }) => name} />;
}
