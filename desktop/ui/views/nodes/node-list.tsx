// All nodes of the mesh: which are there, what they are, what they do. Kept fresh by events; a node that dies is seen to go.
import { Server, UserPlus } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { Link } from 'wouter';
import { Button } from '../../components/button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Select } from '../../components/field.tsx';
import { useNow } from '../../components/figures.tsx';
import { Page } from '../../components/page.tsx';
import { SearchField } from '../../components/search-field.tsx';
import { Segments } from '../../components/segments.tsx';
import { useModels, usePeers, usePs, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import {
  filterRows,
  isShown,
  nodeRows,
  SHOWN,
  type Shown,
  type Sorting,
  type SortKey,
  sortRows,
} from './list-model.ts';
import { NodeTable } from './node-table.tsx';

const SORT_KEYS: readonly SortKey[] = ['name', 'state', 'load', 'link', 'loaded', 'version'];

export function NodeList(): ReactNode {
  const status = useStatus();
  const peers = usePeers();
  const ps = usePs();
  const models = useModels();
  const nowMs = useNow();
  const [words, setWords] = useState('');
  const [shown, setShown] = useState<Shown>('all');
  const [sorting, setSorting] = useState<Sorting>({ by: 'name', descending: false });
  const rows = useMemo(
    () =>
      status.data === undefined || peers.data === undefined
        ? undefined
        : nodeRows({ status: status.data, peers: peers.data, ps: ps.data, models: models.data, nowMs }),
    [status.data, peers.data, ps.data, models.data, nowMs],
  );
  const listed = useMemo(
    () => (rows === undefined ? [] : sortRows(filterRows(rows, { shown, words }), sorting)),
    [rows, shown, words, sorting],
  );
  const error = status.error ?? peers.error;
  const counts = (choice: Shown): number => rows?.filter((row) => isShown(row, choice)).length ?? 0;
  const invite = (
    <Link
      href="/access"
      className="inline-flex h-8 items-center gap-2 rounded-md border border-line-strong bg-panel px-3 font-medium text-sm hover:border-faint hover:bg-sunken"
    >
      <UserPlus aria-hidden className="size-4" />
      {text.nodes.invite}
    </Link>
  );
  return (
    <Page
      title={text.nodes.title}
      note={rows === undefined ? undefined : text.nodes.note(counts('reached'), rows.length)}
      actions={invite}
    >
      {rows === undefined ? (
        error === null ? (
          <Skeleton lines={6} className="max-w-2xl pt-4" />
        ) : (
          <Failed error={error} onRetry={() => void Promise.all([status.refetch(), peers.refetch()])} />
        )
      ) : (
        <>
          <div className="mb-3 flex flex-wrap items-center gap-2">
            <SearchField
              label={text.nodes.filter}
              value={words}
              onChange={setWords}
              className="min-w-52 grow sm:max-w-80"
            />
            <Segments
              size="medium"
              label={text.nodes.show}
              value={shown}
              onChange={setShown}
              options={SHOWN.filter((choice) => choice !== 'older' || counts('older') > 0).map((choice) => ({
                value: choice,
                label: text.nodes.shows[choice],
                count: counts(choice),
              }))}
            />
            {/* Wide screens sort by the heads of the columns. */}
            <Select
              aria-label={text.nodes.sort}
              className="ml-auto w-44 md:hidden"
              value={sorting.by}
              onChange={(by) => setSorting({ by: by as SortKey, descending: false })}
              options={SORT_KEYS.map((key) => ({ value: key, label: text.nodes.sortBy(text.nodes.columns[key]) }))}
            />
          </div>
          <section className="rounded-lg border border-line bg-panel">
            {listed.length === 0 ? (
              <Empty
                title={text.nodes.noneMatch}
                icon={<Server />}
                action={
                  <Button
                    onClick={() => {
                      setWords('');
                      setShown('all');
                    }}
                  >
                    {text.nodes.clear}
                  </Button>
                }
              >
                {text.nodes.noneMatchText}
              </Empty>
            ) : (
              <NodeTable rows={listed} sorting={sorting} onSort={setSorting} ours={status.data?.version ?? ''} />
            )}
            {rows.length === 1 && (
              <div className="border-line border-t">
                <Empty title={text.nodes.aloneTitle} icon={<Server />} action={invite}>
                  {text.nodes.aloneText}
                </Empty>
              </div>
            )}
          </section>
        </>
      )}
    </Page>
  );
}
