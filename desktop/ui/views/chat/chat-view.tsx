// The chat: the conversations that the node keeps at the left, or in a drawer on narrow screens, and one of them beside.
import { MessagesSquare, PanelLeft } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';
import { type ReactNode, useState } from 'react';
import { Link, useParams } from 'wouter';
import { IconButton } from '../../components/button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Page } from '../../components/page.tsx';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';
import { useConversation } from './chat-data.ts';
import { ConversationList } from './conversation-list.tsx';
import { ConversationPane } from './conversation-pane.tsx';

export function ChatView(): ReactNode {
  const { id } = useParams<{ id?: string }>();
  const [drawer, setDrawer] = useState(false);
  const { data, error, refetch } = useConversation(id ?? '');
  // What was read once stays in the store, also when another window has deleted it since.
  const gone = id !== undefined && error?.status === 404;
  const conversation = id === undefined || gone ? undefined : data;
  const title = id === undefined ? text.chat.newConversation : safeName(conversation?.title || text.app.views.chat);
  return (
    <div className="flex h-full min-w-0">
      <aside
        aria-label={text.chat.conversations}
        className="w-64 shrink-0 border-line border-r bg-sunken max-md:hidden"
      >
        <ConversationList current={id} />
      </aside>
      <div className="h-full min-w-0 grow">
        <Page
          title={title}
          heading={<bdi>{title}</bdi>}
          layout="full"
          actions={
            <span className="md:hidden">
              <IconButton label={text.chat.conversations} icon={<PanelLeft />} onClick={() => setDrawer(true)} />
            </span>
          }
        >
          {id === undefined || conversation !== undefined ? (
            <ConversationPane conversation={conversation} />
          ) : (
            <div className="mx-auto w-full max-w-3xl px-4 py-6">
              {gone ? (
                <Gone />
              ) : error === null ? (
                <Skeleton lines={6} />
              ) : (
                <Failed error={error} onRetry={() => void refetch()} />
              )}
            </div>
          )}
        </Page>
      </div>
      {drawer && <Drawer current={id} onClose={() => setDrawer(false)} />}
    </div>
  );
}

/** Radix keeps the focus inside; the overlay is our own, as in components/dialog.tsx. */
function Drawer({
  current,
  onClose,
}: {
  readonly current: string | undefined;
  readonly onClose: () => void;
}): ReactNode {
  return (
    <Radix.Root open onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <div aria-hidden className="fixed inset-0 z-40 animate-[appear_120ms_ease-out] bg-shade" />
        <Radix.Content
          data-dialog
          aria-describedby={undefined}
          className="fixed inset-y-0 left-0 z-40 flex w-[min(20rem,86vw)] flex-col border-line border-r bg-sunken outline-none"
        >
          <Radix.Title className="sr-only">{text.chat.conversations}</Radix.Title>
          <ConversationList current={current} onChosen={onClose} />
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

const Gone = (): ReactNode => (
  <Empty
    icon={<MessagesSquare />}
    title={text.chat.goneTitle}
    action={
      <Link href="/chat" className="font-medium text-accent text-sm hover:text-accent-hover">
        {text.chat.newConversation}
      </Link>
    }
  >
    {text.chat.goneText}
  </Empty>
);
