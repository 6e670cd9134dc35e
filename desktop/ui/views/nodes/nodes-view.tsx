// The entry of the view "nodes": the list of all, or the page of one. The page is loaded when it is opened: plots come with it.
import { type ReactNode, Suspense } from 'react';
import { useParams } from 'wouter';
import { Skeleton } from '../../components/empty.tsx';
import { lazyFile } from '../../components/lazy-file.tsx';
import { Page } from '../../components/page.tsx';
import { text } from '../../text/en.ts';
import { NodeList } from './node-list.tsx';

const NodePage = lazyFile(() => import('./node-page.tsx').then((file) => file.NodePage));

export function NodesView(): ReactNode {
  const { id, tab } = useParams<{ id?: string; tab?: string }>();
  if (id === undefined) return <NodeList />;
  return (
    <Suspense
      fallback={
        <Page title={text.nodes.title}>
          <Skeleton lines={4} className="max-w-xl" />
        </Page>
      }
    >
      <NodePage key={id} node={decoded(id)} tab={tab} />
    </Suspense>
  );
}

/** Addresses may be mistyped. */
function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
