// Models in three lists: on this node, on the mesh, in the catalogue; above them what is on its way here.
import { Boxes, Download, Ellipsis, ShieldCheck, Sparkles } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { Button, IconButton } from '../../components/button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Menu } from '../../components/menu.tsx';
import { Page } from '../../components/page.tsx';
import { SearchField } from '../../components/search-field.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { useToast } from '../../components/toast.tsx';
import { useMeshModels, useModels, usePs } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, count, plural, safeName, shortModel } from '../../text/format.ts';
import { CatalogueList } from './catalogue-list.tsx';
import { CleanUpDialog } from './clean-up-dialog.tsx';
import { HereList } from './here-list.tsx';
import { MeshList } from './mesh-list.tsx';
import { catalogueRows, found, type HereRow, hereRows, type Known, meshRows } from './model-rows.ts';
import { PullDialog } from './pull-dialog.tsx';
import { useCatalogue, useLoading, usePull } from './queries.ts';
import { EndedTransfers, Transfers } from './transfers.tsx';
import { VerifyDialog } from './verify-dialog.tsx';

type List = 'here' | 'mesh' | 'catalogue';

/** Which list was looked at last: the way back from a model leads there. */
let lastList: List = 'here';

export function ModelsLists(): ReactNode {
  const mesh = useMeshModels();
  const offers = useModels();
  const ps = usePs();
  const loading = useLoading();
  const catalogue = useCatalogue();
  const pull = usePull();
  const toast = useToast();
  const [list, setList] = useState<List>(lastList);
  const [wanted, setWanted] = useState('');
  const [dialog, setDialog] = useState<'pull' | 'verify' | 'clean-up'>();
  const known = useMemo<Known | undefined>(
    () =>
      mesh.data === undefined
        ? undefined
        : {
            mesh: mesh.data.models,
            offers: offers.data?.models ?? [],
            loaded: ps.data?.models ?? [],
            loading,
          },
    [mesh.data, offers.data, ps.data, loading],
  );
  const rows = useMemo(
    () => ({
      here: known === undefined ? [] : hereRows(known),
      mesh: known === undefined ? [] : meshRows(known),
      catalogue: catalogueRows(catalogue.data?.models ?? [], known?.mesh ?? []),
    }),
    [known, catalogue.data],
  );
  const begin = (name: string): void =>
    pull.mutate(name, {
      onError: (error) => toast.failed(text.models.pull.failed(safeName(shortModel(name))), error),
    });
  const pulling = pull.isPending ? pull.variables : undefined;
  const choose = (id: string): void => {
    lastList = id as List;
    setList(lastList);
  };
  const framed = (empty: ReactNode, all: number, shown: number, table: ReactNode): ReactNode => (
    <div className="overflow-hidden rounded-lg border border-line bg-panel">
      {all === 0 ? empty : shown === 0 ? <Empty title={text.models.nothingFound(safeName(wanted))} /> : table}
    </div>
  );
  const shown = {
    here: found(rows.here, wanted),
    mesh: found(rows.mesh, wanted),
    catalogue: found(rows.catalogue, wanted),
  };
  const pullButton = (
    <Button icon={<Download />} onClick={() => setDialog('pull')}>
      {text.models.actions.pull}
    </Button>
  );
  const body = {
    here: framed(
      <Empty icon={<Boxes />} title={text.models.emptyHere} action={pullButton}>
        {text.models.emptyHereText}
      </Empty>,
      rows.here.length,
      shown.here.length,
      <HereList rows={shown.here} parts={(ps.data?.models ?? []).filter(({ part }) => part !== undefined)} />,
    ),
    mesh: framed(
      <Empty icon={<Boxes />} title={text.models.emptyMesh}>
        {text.models.emptyMeshText}
      </Empty>,
      rows.mesh.length,
      shown.mesh.length,
      <MeshList rows={shown.mesh} onPull={begin} pulling={pulling} />,
    ),
    catalogue: framed(
      <Empty icon={<Boxes />} title={text.models.emptyCatalogue} action={pullButton}>
        {text.models.emptyCatalogueText}
      </Empty>,
      rows.catalogue.length,
      shown.catalogue.length,
      <CatalogueList rows={shown.catalogue} onPull={begin} pulling={pulling} />,
    ),
  };
  return (
    <Page
      title={text.app.views.models}
      note={known === undefined ? undefined : noteOf(rows.here)}
      actions={
        <>
          <Menu
            trigger={<IconButton label={text.models.actions.moreForAll} icon={<Ellipsis />} />}
            groups={[
              [
                {
                  id: 'verify',
                  label: text.models.actions.verifyAll,
                  icon: <ShieldCheck />,
                  onSelect: () => setDialog('verify'),
                },
                {
                  id: 'clean-up',
                  label: text.models.actions.cleanUp,
                  icon: <Sparkles />,
                  onSelect: () => setDialog('clean-up'),
                },
              ],
            ]}
          />
          <Button kind="primary" icon={<Download />} onClick={() => setDialog('pull')}>
            {text.models.actions.pull}
          </Button>
        </>
      }
    >
      <Transfers />
      {mesh.error !== null ? (
        <Failed title={text.models.failed} error={mesh.error} onRetry={() => void mesh.refetch()} />
      ) : known === undefined ? (
        <Skeleton lines={6} className="max-w-xl" />
      ) : (
        <div className="relative">
          <SearchField
            label={text.models.search}
            value={wanted}
            onChange={setWanted}
            className="mb-2 sm:absolute sm:top-0 sm:right-0 sm:z-10 sm:mb-0 sm:w-60"
          />
          <Tabs
            label={text.models.lists}
            value={list}
            onChange={choose}
            tabs={(['here', 'mesh', 'catalogue'] as const).map((id) => ({
              id,
              title: (
                <>
                  {text.models[id]} <span className="tabular text-faint text-xs">{count(rows[id].length)}</span>
                </>
              ),
              body: body[id],
            }))}
          />
        </div>
      )}
      <EndedTransfers />
      {dialog === 'pull' && <PullDialog onClose={() => setDialog(undefined)} />}
      {dialog === 'verify' && <VerifyDialog onClose={() => setDialog(undefined)} />}
      {dialog === 'clean-up' && <CleanUpDialog onClose={() => setDialog(undefined)} />}
    </Page>
  );
}

/** Pulls under way are not counted. */
function noteOf(all: readonly HereRow[]): string {
  const rows = all.filter(({ state }) => state !== 'partial');
  const loaded = rows.filter(({ state }) => state === 'loaded');
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return text.models.note(
    plural(rows.length, 'model'),
    bytes(sum(rows.map(({ sizeBytes }) => sizeBytes))),
    count(loaded.length),
    loaded.length === 0 ? '' : bytes(sum(loaded.map(({ residentBytes }) => residentBytes))),
  );
}
