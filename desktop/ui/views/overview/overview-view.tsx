// The overview: this node in a word and a sentence, the mesh and what flows through it, live plots, and what runs where.
import { Plus } from 'lucide-react';
import { type ReactNode, Suspense, useMemo, useState, useSyncExternalStore } from 'react';
import { useLocation } from 'wouter';
import { StateDot } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { lazyFile } from '../../components/lazy-file.tsx';
import { Page } from '../../components/page.tsx';
import { Segments } from '../../components/segments.tsx';
import { useConnection } from '../../data/events.ts';
import { useHistory, useModels, usePeers, usePs, useSharing, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { plural, shortId } from '../../text/format.ts';
import { namesText, stateOf } from './describe.ts';
import { formFor } from './layout.ts';
import { MeshList } from './mesh-list.tsx';
import { MeshOfOne } from './mesh-of-one.tsx';
import { RequestsNow } from './requests-now.tsx';
import { ThisNode } from './this-node.tsx';
import { WhatRuns } from './what-runs.tsx';

const MeshMap = lazyFile(() => import('./mesh-map.tsx').then((file) => file.MeshMap));
const Plots = lazyFile(() => import('./plots.tsx').then((file) => file.Plots));

const words = text.overview;

export function OverviewView(): ReactNode {
  const [, navigate] = useLocation();
  const connection = useConnection();
  const { data: status, error, refetch } = useStatus();
  const { data: peers } = usePeers();
  const { data: models } = useModels();
  const { data: sharing } = useSharing();
  const state = stateOf({
    connection,
    status,
    peers: peers?.peers,
    models: models?.models.length,
    lends: sharing?.lends,
  });
  const names = useMemo(
    () =>
      new Map(
        [...(peers?.peers ?? []), ...(status === undefined ? [] : [status])].map(({ node, name }) => [node, name]),
      ),
    [peers, status],
  );
  return (
    <Page
      title={text.app.views.overview}
      note={
        <span className="flex flex-wrap items-center gap-x-2">
          <StateDot tone={state.tone} className="font-medium text-ink">
            {state.word}
          </StateDot>
          {state.sentence}
        </span>
      }
      actions={
        <Button icon={<Plus />} onClick={() => navigate('/access')}>
          {words.addNode}
        </Button>
      }
    >
      {error !== null && status === undefined ? (
        <Failed error={error} onRetry={() => void refetch()} />
      ) : (
        <div className="flex flex-col gap-4">
          <Mesh />
          <div className="grid gap-4 lg:grid-cols-2">
            {status === undefined ? (
              <Card title={words.thisNode}>
                <Skeleton lines={6} />
              </Card>
            ) : (
              <ThisNode status={status} />
            )}
            <RequestsNow nameOf={(node) => names.get(node) ?? shortId(node)} />
          </div>
          <Measures />
          <WhatRuns />
        </div>
      )}
    </Page>
  );
}

/** Narrower than this a map has no room. */
const MAP_QUERY = matchMedia('(min-width: 720px)');

const subscribeToWidth = (listener: () => void): (() => void) => {
  MAP_QUERY.addEventListener('change', listener);
  return () => MAP_QUERY.removeEventListener('change', listener);
};

type Look = 'map' | 'list';

/** One row of nodes needs little, many nodes need much. */
function heightFor(peers: number): string {
  if (peers <= 2) return 'h-60';
  return formFor(peers).kind === 'compact' ? 'h-[32rem]' : 'h-[26rem]';
}

function Mesh(): ReactNode {
  const { data: status } = useStatus();
  const { data: peers, error, refetch } = usePeers();
  const { data: ps } = usePs();
  const holds = namesText(
    ps?.models.filter(({ state, part }) => state === 'loaded' && part === undefined).map(({ id }) => id) ?? [],
  );
  const roomy = useSyncExternalStore(subscribeToWidth, () => MAP_QUERY.matches);
  const [chosen, setChosen] = useState<Look>();
  const look = chosen ?? (roomy ? 'map' : 'list');
  const alone = peers?.peers.length === 0;
  return (
    <Card
      title={words.mesh}
      {...(peers === undefined ? {} : { note: plural(peers.peers.length + 1, 'node') })}
      flush
      actions={
        !alone && (
          <Segments
            label={words.view}
            value={look}
            onChange={setChosen}
            options={[
              { value: 'map', label: words.asMap },
              { value: 'list', label: words.asList },
            ]}
          />
        )
      }
    >
      {error !== null && peers === undefined ? (
        <div className="p-4">
          <Failed error={error} onRetry={() => void refetch()} />
        </div>
      ) : status === undefined || peers === undefined ? (
        <Skeleton className="h-[26rem] p-4" />
      ) : alone ? (
        <MeshOfOne />
      ) : look === 'list' ? (
        <MeshList status={status} peers={peers.peers} holds={holds} />
      ) : (
        <div className={heightFor(peers.peers.length)}>
          <Suspense fallback={<Skeleton className="p-4" />}>
            <MeshMap status={status} peers={peers.peers} holds={holds} />
          </Suspense>
        </div>
      )}
    </Card>
  );
}

type Window = keyof typeof words.windows;

function Measures(): ReactNode {
  const { pulses, query } = useHistory();
  const [seconds, setSeconds] = useState<Window>('900');
  return (
    <Card
      title={words.measures}
      flush
      actions={
        <Segments
          label={words.window}
          value={seconds}
          onChange={setSeconds}
          options={(Object.keys(words.windows) as Window[]).map((value) => ({ value, label: words.windows[value] }))}
        />
      }
    >
      {pulses.length === 0 ? (
        query.isPending ? (
          <Skeleton className="h-72 p-4" />
        ) : (
          <Empty title={words.noPulses} />
        )
      ) : (
        <Suspense fallback={<Skeleton className="h-72 p-4" />}>
          <Plots pulses={pulses} windowMs={Number(seconds) * 1_000} />
        </Suspense>
      )}
    </Card>
  );
}
