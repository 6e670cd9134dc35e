// The page of one node: what it is and does, and, where one may, everything that one could do at that node itself.
import { ArrowLeft, Server, Unplug } from 'lucide-react';
import { type ReactNode, Suspense } from 'react';
import { Link, useLocation } from 'wouter';
import type { PeersAnswer, StatusAnswer } from '../../../../protocol/api/control.ts';
import { Badge, StateDot } from '../../components/badge.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Ago, useNow } from '../../components/figures.tsx';
import { lazyFile } from '../../components/lazy-file.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { Page } from '../../components/page.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { useFreshNode } from '../../data/node-events.ts';
import { useMembers, usePeers, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';
import { AtGlance } from './at-glance.tsx';
import { ageOf, heardAtMs, whyNotManaged } from './list-model.ts';
import { NodeModels } from './node-models.tsx';
import { STATE_TONES, VersionCell, WithheldBadge } from './node-table.tsx';
import { NotManaged } from './not-managed.tsx';
import { RestartButton, RestartProgress, useRestart } from './restart.tsx';

const SettingsForm = lazyFile(() => import('../settings/settings-form.tsx').then((file) => file.SettingsForm));
const LogPane = lazyFile(() => import('../logs/log-pane.tsx').then((file) => file.LogPane));
const DoctorPane = lazyFile(() => import('../doctor/doctor-pane.tsx').then((file) => file.DoctorPane));

export type Peer = PeersAnswer['peers'][number];

const TABS = ['glance', 'models', 'settings', 'logs', 'doctor'] as const;
type TabId = (typeof TABS)[number];

export function NodePage({ node, tab }: { readonly node: string; readonly tab: string | undefined }): ReactNode {
  const status = useStatus();
  const peers = usePeers();
  const error = status.error ?? peers.error;
  if (status.data === undefined || peers.data === undefined) {
    return (
      <Page title={text.nodes.title}>
        {error === null ? (
          <Skeleton lines={4} className="max-w-xl" />
        ) : (
          <Failed error={error} onRetry={() => void Promise.all([status.refetch(), peers.refetch()])} />
        )}
      </Page>
    );
  }
  const peer = peers.data.peers.find((each) => each.node === node);
  if (peer === undefined && node !== status.data.node) return <NoSuchNode />;
  return <Known status={status.data} peer={peer} tab={TABS.find((id) => id === tab) ?? 'glance'} />;
}

const NoSuchNode = (): ReactNode => (
  <Page title={text.nodes.unknownTitle}>
    <Empty
      title={text.nodes.unknownTitle}
      icon={<Server />}
      action={
        <Link href="/nodes" className="text-accent underline underline-offset-2">
          {text.nodes.toNodes}
        </Link>
      }
    >
      {text.nodes.unknownText}
    </Empty>
  </Page>
);

interface KnownProps {
  readonly status: StatusAnswer;
  /** Undefined: it is the node behind the page. */
  readonly peer: Peer | undefined;
  readonly tab: TabId;
}

function Known({ status, peer, tab }: KnownProps): ReactNode {
  const [, navigate] = useLocation();
  const { node, name, version } = peer ?? status;
  const role = useMembers().data?.members.find((member) => member.node === node)?.role;
  const why = peer === undefined ? undefined : whyNotManaged(peer, status);
  const asked = peer?.node;
  useFreshNode(why === undefined ? asked : undefined);
  const restart = useRestart(asked, peer === undefined || peer.state === 'connected');
  const needsReach = why === 'away' && tab !== 'glance' && tab !== 'models';
  const hidden = why !== undefined && why !== 'away';
  const bodies: Readonly<Record<TabId, () => ReactNode>> = {
    glance: () => <AtGlance status={status} peer={peer} canAsk={why === undefined} />,
    models: () => <NodeModels node={asked} canAsk={why === undefined} offers={peer?.offers ?? []} />,
    settings: () => <SettingsForm key={node} node={asked} name={name} restart={restart} />,
    logs: () => (
      <div className="flex h-[max(24rem,calc(100dvh-16rem))] flex-col overflow-hidden rounded-lg border border-line bg-panel">
        <LogPane key={node} node={asked} />
      </div>
    ),
    doctor: () => <DoctorPane key={node} node={asked} />,
  };
  const tabs = TABS.filter((id) => !hidden || id === 'glance' || id === 'models').map((id) => ({
    id,
    title: text.nodes.tabs[id],
    body:
      why === 'away' && id !== 'glance' && id !== 'models' ? (
        <NeedsReach />
      ) : (
        <Suspense fallback={<Skeleton lines={5} className="max-w-xl pt-2" />}>{bodies[id]()}</Suspense>
      ),
  }));
  return (
    <Page
      title={safeName(name)}
      heading={
        <span className="flex min-w-0 items-center gap-2">
          <Link
            href="/nodes"
            aria-label={text.nodes.back}
            className="-ml-1.5 grid size-7 shrink-0 place-items-center rounded-md text-muted hover:bg-sunken hover:text-ink"
          >
            <ArrowLeft aria-hidden className="size-4" />
          </Link>
          <NodeName node={node} name={name} self={peer === undefined} />
        </span>
      }
      note={<UnderTitle status={status} peer={peer} role={role} version={version} />}
      actions={why === undefined ? <RestartButton name={name} restart={restart} /> : undefined}
    >
      <RestartProgress name={name} restart={restart} />
      {why !== undefined && restart.run === undefined && !needsReach && <NotManaged why={why} />}
      <Tabs
        label={text.nodes.tabsLabel}
        tabs={tabs}
        value={tabs.some(({ id }) => id === tab) ? tab : 'glance'}
        onChange={(id) => navigate(`/nodes/${encodeURIComponent(node)}${id === 'glance' ? '' : `/${id}`}`)}
      />
    </Page>
  );
}

function UnderTitle({
  status,
  peer,
  role,
  version,
}: {
  readonly status: StatusAnswer;
  readonly peer: Peer | undefined;
  readonly role: string | undefined;
  readonly version: string;
}): ReactNode {
  const nowMs = useNow();
  const state = peer?.state ?? 'connected';
  const heard = peer === undefined || state === 'connected' ? undefined : heardAtMs(peer, nowMs);
  return (
    <div className="mt-0.5 flex flex-wrap items-center gap-x-3 gap-y-1 sm:pl-8" data-state={state}>
      <StateDot tone={STATE_TONES[state]}>{text.nodes.states[state]}</StateDot>
      {peer?.withheld !== undefined && <WithheldBadge withheld={peer.withheld} />}
      {heard !== undefined && (
        <span>
          {text.nodes.heard} <Ago atMs={heard} />
        </span>
      )}
      {role !== undefined && <Badge>{text.nodes.roles[role] ?? safeName(role)}</Badge>}
      <span className="text-xs">
        Weft <VersionCell row={{ version, age: ageOf(version, status.version) }} ours={status.version} />
      </span>
    </div>
  );
}

const NeedsReach = (): ReactNode => (
  <div className="rounded-lg border border-line bg-panel">
    <Empty title={text.nodes.needsReachTitle} icon={<Unplug />}>
      {text.nodes.needsReach}
    </Empty>
  </div>
);
