// The page of one model: what it is, how fast it is here, and where its graph can be cut. Also of a model that only other nodes have.
import { ArrowLeft, Download } from 'lucide-react';
import { type ReactNode, Suspense, useMemo } from 'react';
import { Link, useLocation } from 'wouter';
import type { MeshModelsAnswer } from '../../../../protocol/api/control.ts';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { lazyFile } from '../../components/lazy-file.tsx';
import { Foreign } from '../../components/node-name.tsx';
import { Page } from '../../components/page.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { useToast } from '../../components/toast.tsx';
import { useMeshModels, useModel, useModels, usePs } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, safeName, shortModel } from '../../text/format.ts';
import { ModelActions } from './model-actions.tsx';
import { ModelFacts, Where } from './model-facts.tsx';
import { hereRows, type Known, meshRows, modelHref, ownerOf, taskWord } from './model-rows.ts';
import { ModelState } from './model-state.tsx';
import { useLoading, usePull } from './queries.ts';
import { Transfers } from './transfers.tsx';

const CutsTab = lazyFile(() => import('./cuts/cuts-tab.tsx').then((file) => file.CutsTab));
const SpeedTab = lazyFile(() => import('./speed-tab.tsx').then((file) => file.SpeedTab));

export interface ModelPageProps {
  /** Hub id, short name, or digest. */
  readonly address: string;
  /** @default 'about' */
  readonly tab?: string | undefined;
}

export function ModelPage({ address, tab = 'about' }: ModelPageProps): ReactNode {
  const [, navigate] = useLocation();
  const mesh = useMeshModels();
  const offers = useModels();
  // Short names are those of the offers.
  const meant = offers.data?.models.find(({ aliases }) => aliases.includes(address))?.id ?? address;
  const elsewhere = mesh.data !== undefined && !isInstalled(mesh.data.models, meant);
  const model = useModel(mesh.isPending || offers.isPending || elsewhere ? '' : address);
  const ps = usePs();
  const loading = useLoading();
  const known = useMemo<Known>(
    () => ({
      mesh: mesh.data?.models ?? [],
      offers: offers.data?.models ?? [],
      loaded: ps.data?.models ?? [],
      loading,
    }),
    [mesh.data, offers.data, ps.data, loading],
  );
  const missing = elsewhere || model.error?.code === 'model_not_found';
  const is = ({ id, digest }: { readonly id: string; readonly digest: string }): boolean =>
    model.data === undefined ? id === meant || digest === meant : digest === model.data.digest;
  const here = hereRows(known).find(is);
  const anywhere = meshRows(known).find(is);
  const id = model.data?.id ?? anywhere?.id ?? meant;
  const title = safeName(shortModel(id));
  const task = model.data?.task ?? anywhere?.task;

  if (model.error !== null && !missing)
    return (
      <Page title={title} heading={<Heading id={id} />}>
        <Failed error={model.error} onRetry={() => void model.refetch()} />
      </Page>
    );
  if (model.data === undefined && !(missing && mesh.data !== undefined))
    return (
      <Page title={title} heading={<Heading id={id} />}>
        <Skeleton lines={6} className="max-w-xl" />
      </Page>
    );
  if (model.data === undefined && anywhere === undefined)
    return (
      <Page title={title} heading={<Heading id={id} />}>
        <Empty title={text.models.page.nowhere} action={<PullButton name={address} />}>
          {text.models.page.nowhereText}
        </Empty>
      </Page>
    );
  const tabs = [
    {
      id: 'about',
      title: text.models.page.about,
      body:
        model.data === undefined ? (
          anywhere !== undefined && <Where row={anywhere} />
        ) : (
          <ModelFacts model={model.data} loaded={ps.data?.models ?? []} where={anywhere} />
        ),
    },
    ...(model.data?.profile === undefined
      ? []
      : [
          {
            id: 'speed',
            title: text.models.page.speed,
            body: (
              <Waiting>
                <SpeedTab task={model.data.task} profile={model.data.profile} />
              </Waiting>
            ),
          },
        ]),
    {
      id: 'cuts',
      title: text.models.page.cuts,
      body: (
        <Waiting>
          <CutsTab model={model.data?.digest ?? id} />
        </Waiting>
      ),
    },
  ];
  return (
    <Page
      title={title}
      heading={<Heading id={id} />}
      note={
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          {ownerOf(id) !== '' && <Foreign>{ownerOf(id)}</Foreign>}
          {task !== undefined && <Badge>{taskWord(task)}</Badge>}
          <span className="tabular">{bytes(model.data?.sizeBytes ?? anywhere?.sizeBytes ?? 0)}</span>
          {here !== undefined && <ModelState row={here} />}
        </div>
      }
      actions={
        here !== undefined && model.data !== undefined ? (
          <ModelActions row={here} onRemoved={() => navigate('/models')} />
        ) : (
          <PullButton name={anywhere?.pullName ?? address} />
        )
      }
    >
      <Transfers model={id} />
      {model.data === undefined && (
        <p className="mb-3 text-sm">
          <span className="font-medium">{text.models.page.notHere}</span>{' '}
          <span className="text-muted">{text.models.page.notHereText}</span>
        </p>
      )}
      <Tabs
        label={text.models.page.tabs}
        value={tabs.some((one) => one.id === tab) ? tab : 'about'}
        onChange={(next) =>
          navigate(next === 'about' ? modelHref(address) : `${modelHref(address)}#${next}`, { replace: true })
        }
        tabs={tabs}
      />
    </Page>
  );
}

function Heading({ id }: { readonly id: string }): ReactNode {
  return (
    <span className="flex min-w-0 items-center gap-2">
      <Link
        href="/models"
        aria-label={text.models.page.back}
        className="-ml-1 rounded-md p-1 text-muted hover:bg-sunken hover:text-ink"
      >
        <ArrowLeft aria-hidden className="size-4" />
      </Link>
      <Foreign className="truncate">{shortModel(id)}</Foreign>
    </span>
  );
}

function PullButton({ name }: { readonly name: string }): ReactNode {
  const pull = usePull();
  const toast = useToast();
  return (
    <Button
      kind="primary"
      icon={<Download />}
      busy={pull.isPending}
      onClick={() =>
        pull.mutate(name, {
          onError: (error) => toast.failed(text.models.pull.failed(safeName(shortModel(name))), error),
        })
      }
    >
      {text.models.actions.pullShort}
    </Button>
  );
}

const Waiting = ({ children }: { readonly children: ReactNode }): ReactNode => (
  <Suspense fallback={<Skeleton lines={4} className="max-w-xl" />}>{children}</Suspense>
);

/** All of it is on this node. @param name hub id or digest */
const isInstalled = (models: MeshModelsAnswer['models'], name: string): boolean =>
  models.some(
    ({ id, digest, sizeBytes, nodes }) =>
      (id === name || digest === name) && nodes.some(({ self, heldBytes }) => self && heldBytes >= sizeBytes),
  );
