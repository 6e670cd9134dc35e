// The models of a node: what is there and what is in memory, and, where one may manage it, what can be done about that.
import { useQueryClient } from '@tanstack/react-query';
import { Boxes, Ellipsis, Pin, Play, Square, Trash2 } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { ModelsAnswer, PsAnswer } from '../../../../protocol/api/control.ts';
import { Badge, StateDot, type Tone } from '../../components/badge.tsx';
import { IconButton } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Menu } from '../../components/menu.tsx';
import { Foreign } from '../../components/node-name.tsx';
import { type Column, Table } from '../../components/table.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import { nodePath, queryKey, useAnswer } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, memory, safeName, safeText, shortModel } from '../../text/format.ts';
import { installedModels, type NodeModel, offeredModels } from './models-model.ts';
import type { Peer } from './node-page.tsx';
import { PullHere } from './pull-here.tsx';

export interface NodeModelsProps {
  /** Undefined: the node behind the page. */
  readonly node: string | undefined;
  /** The node itself may be asked, and told what to do. */
  readonly canAsk: boolean;
  /** What it tells all others. */
  readonly offers: Peer['offers'];
}

export function NodeModels({ node, canAsk, offers }: NodeModelsProps): ReactNode {
  const models = useAnswer<ModelsAnswer>('models', 'models', { node, enabled: canAsk });
  const ps = useAnswer<PsAnswer>('ps', 'ps', { node, enabled: canAsk });
  if (!canAsk) {
    return (
      <Card title={text.nodes.modelsOffered} flush>
        {offers.length === 0 ? (
          <p className="p-4 text-muted text-sm">{text.nodes.noOffers}</p>
        ) : (
          <Table
            label={text.nodes.modelsOffered}
            columns={COLUMNS}
            rows={offeredModels(offers)}
            rowKey={({ id, sizeBytes }) => `${id} ${sizeBytes}`}
          />
        )}
      </Card>
    );
  }
  const rows = models.data === undefined ? undefined : installedModels(models.data, ps.data, node);
  return (
    <div className="flex flex-col gap-4">
      <PullHere node={node} here={rows?.map(({ id }) => id) ?? []} />
      <Card title={text.nodes.modelsHere} flush>
        {rows === undefined ? (
          <div className="p-4">
            {models.error === null ? (
              <Skeleton />
            ) : (
              <Failed error={models.error} onRetry={() => void models.refetch()} />
            )}
          </div>
        ) : rows.length === 0 ? (
          <Empty title={text.nodes.noModels} icon={<Boxes />}>
            {text.nodes.noModelsText}
          </Empty>
        ) : (
          <ModelTable node={node} rows={rows} />
        )}
      </Card>
    </div>
  );
}

const TONES: Readonly<Record<string, Tone>> = { loaded: 'good', loading: 'accent', quarantined: 'bad' };

const COLUMNS: readonly Column<NodeModel>[] = [
  {
    key: 'model',
    title: text.nodes.modelColumns.model,
    grow: true,
    cell: ({ id, pinned }) => (
      <span className="flex min-w-0 items-center gap-2">
        <span className="min-w-0 truncate" title={safeName(id)}>
          <Foreign>{id}</Foreign>
        </span>
        {pinned && (
          <Badge>
            <Pin aria-hidden className="size-3" />
            {text.nodes.pinned}
          </Badge>
        )}
      </span>
    ),
  },
  { key: 'task', title: text.nodes.modelColumns.task, wide: true, cell: ({ task }) => safeName(task) },
  {
    key: 'state',
    title: text.nodes.modelColumns.state,
    cell: ({ state, reason }) => (
      <span title={reason === undefined ? undefined : safeText(reason)}>
        <StateDot tone={TONES[state] ?? 'neutral'}>{text.nodes.modelStates[state] ?? safeName(state)}</StateDot>
      </span>
    ),
  },
  {
    key: 'memory',
    title: text.nodes.modelColumns.memory,
    align: 'end',
    wide: true,
    cell: ({ residentBytes }) => (
      <span className="tabular text-muted">{residentBytes === undefined ? '–' : memory(residentBytes)}</span>
    ),
  },
  {
    key: 'size',
    title: text.nodes.modelColumns.size,
    align: 'end',
    wide: true,
    cell: ({ sizeBytes }) => <span className="tabular">{bytes(sizeBytes)}</span>,
  },
];

function ModelTable({
  node,
  rows,
}: {
  readonly node: string | undefined;
  readonly rows: readonly NodeModel[];
}): ReactNode {
  const client = useQueryClient();
  const toast = useToast();
  const [busy, setBusy] = useState<string>();
  const [removing, setRemoving] = useState<string>();
  /** Of another node there are no events of models: they are read again. */
  const readAgain = (): Promise<unknown> =>
    Promise.all(
      (['models', 'ps'] as const).map((name) => client.invalidateQueries({ queryKey: queryKey(name, node) })),
    );
  const tell = async (id: string, what: string, body: Readonly<Record<string, unknown>>, done: string) => {
    setBusy(id);
    try {
      await api.post(nodePath(`models/${what}`, node), { model: id, ...body });
      toast.done(done);
    } catch (error) {
      toast.failed(text.nodes.actionFailed(safeName(shortModel(id))), error);
    } finally {
      setBusy(undefined);
      await readAgain();
    }
  };
  const actions: Column<NodeModel> = {
    key: 'actions',
    title: '',
    align: 'end',
    cell: ({ id, state, pinned }) => {
      const name = safeName(shortModel(id));
      return (
        <Menu
          trigger={
            <IconButton
              size="small"
              label={text.nodes.modelActions(name)}
              icon={<Ellipsis />}
              busy={busy === id || state === 'loading'}
            />
          }
          groups={[
            [
              {
                id: 'load',
                label: text.nodes.load,
                icon: <Play />,
                disabled: state === 'loaded',
                onSelect: () => void tell(id, 'load', {}, text.nodes.loadDone(name)),
              },
              {
                id: 'pin',
                label: text.nodes.pin,
                icon: <Pin />,
                disabled: pinned,
                onSelect: () => void tell(id, 'load', { pin: true }, text.nodes.loadDone(name)),
              },
              {
                id: 'unload',
                label: text.nodes.unload,
                icon: <Square />,
                disabled: state !== 'loaded',
                onSelect: () => void tell(id, 'unload', {}, text.nodes.unloadDone(name)),
              },
            ],
            [
              {
                id: 'remove',
                label: text.nodes.remove,
                icon: <Trash2 />,
                danger: true,
                onSelect: () => setRemoving(id),
              },
            ],
          ]}
        />
      );
    },
  };
  const name = safeName(shortModel(removing ?? ''));
  return (
    <>
      <Table
        label={text.nodes.modelsHere}
        columns={[...COLUMNS, actions]}
        rows={rows}
        rowKey={({ id, sizeBytes }) => `${id} ${sizeBytes}`}
      />
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={text.nodes.removeTitle(name)}
        description={text.nodes.removeText}
        action={text.nodes.remove}
        danger
        onConfirm={async () => {
          await api.post(nodePath('models/remove', node), { model: removing });
          toast.done(text.nodes.removeDone(name));
          await readAgain();
        }}
      />
    </>
  );
}
