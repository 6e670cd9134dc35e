// The conversations that the node keeps: found by words, begun, named, exported, read in and deleted.
import { Ellipsis, FileDown, FileJson, Pencil, Search, SquarePen, Trash2, X } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { Button, IconButton } from '../../components/button.tsx';
import { classes } from '../../components/class-names.ts';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Input } from '../../components/field.tsx';
import { useNow } from '../../components/figures.tsx';
import { Menu } from '../../components/menu.tsx';
import { useToast } from '../../components/toast.tsx';
import { text } from '../../text/en.ts';
import { safeName, safeText } from '../../text/format.ts';
import { exportConversation, type Listed, useConversations } from './chat-data.ts';
import { DeleteDialog, ImportButton, RenameDialog } from './conversation-dialogs.tsx';
import { SEARCH_PAUSE_MS } from './limits.ts';
import { byDay } from './list-groups.ts';

export interface ConversationListProps {
  /** The one that is shown. */
  readonly current: string | undefined;
  /** Something was chosen: a drawer closes. */
  readonly onChosen?: () => void;
}

export function ConversationList({ current, onChosen }: ConversationListProps): ReactNode {
  const [words, setWords] = useState('');
  const [search, setSearch] = useState('');
  const [renamed, setRenamed] = useState<Listed>();
  const [deleted, setDeleted] = useState<Listed>();
  const [, navigate] = useLocation();
  useEffect(() => {
    const timer = setTimeout(() => setSearch(words.trim()), words.trim() === '' ? 0 : SEARCH_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [words]);
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex shrink-0 flex-col gap-2 p-2">
        <div className="flex items-center gap-1">
          <Button
            className="grow justify-start"
            icon={<SquarePen />}
            onClick={() => {
              navigate('/chat');
              onChosen?.();
            }}
          >
            {text.chat.newConversation}
          </Button>
          <ImportButton onChosen={onChosen} />
        </div>
        <div className="relative">
          <Search aria-hidden className="pointer-events-none absolute top-2 left-2.5 size-4 text-faint" />
          <Input
            type="text"
            role="searchbox"
            aria-label={text.chat.search}
            placeholder={text.chat.search}
            value={words}
            onChange={({ target }) => setWords(target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Escape' || words === '') return;
              event.stopPropagation();
              setWords('');
            }}
            className="pr-8 pl-8"
          />
          {words !== '' && (
            <span className="absolute top-0.5 right-0.5">
              <IconButton size="small" label={text.chat.clearSearch} icon={<X />} onClick={() => setWords('')} />
            </span>
          )}
        </div>
      </div>
      <Found search={search} current={current} onChosen={onChosen} onRename={setRenamed} onDelete={setDeleted} />
      {renamed !== undefined && <RenameDialog conversation={renamed} onClose={() => setRenamed(undefined)} />}
      <DeleteDialog conversation={deleted} current={current} onClose={() => setDeleted(undefined)} />
    </div>
  );
}

interface FoundProps extends ConversationListProps {
  readonly search: string;
  readonly onChosen: (() => void) | undefined;
  readonly onRename: (conversation: Listed) => void;
  readonly onDelete: (conversation: Listed) => void;
}

function Found({ search, ...row }: FoundProps): ReactNode {
  const { query, conversations } = useConversations(search);
  const nowMs = useNow();
  if (conversations === undefined) {
    return (
      <div className="p-3">
        {query.error === null ? (
          <Skeleton lines={5} />
        ) : (
          <Failed error={query.error} onRetry={() => void query.refetch()} />
        )}
      </div>
    );
  }
  if (conversations.length === 0) {
    return (
      <p role="status" className="px-4 py-3 text-muted text-sm">
        {search === '' ? text.chat.none : text.chat.noneFound}
      </p>
    );
  }
  return (
    <nav aria-label={text.chat.conversations} className="min-h-0 grow overflow-y-auto px-2 pb-3">
      {byDay(conversations, Math.max(nowMs, Date.now())).map(({ title, conversations: listed }) => (
        <section key={title} aria-label={title}>
          <h2 className="kicker px-2 pt-3 pb-1">{title}</h2>
          <ul>
            {listed.map((conversation) => (
              <Row key={conversation.id} conversation={conversation} {...row} />
            ))}
          </ul>
        </section>
      ))}
      {query.hasNextPage && (
        <Button
          kind="quiet"
          size="small"
          busy={query.isFetchingNextPage}
          className="mt-2 w-full"
          onClick={() => void query.fetchNextPage()}
        >
          {text.chat.showMore}
        </Button>
      )}
    </nav>
  );
}

function Row({
  conversation,
  current,
  onChosen,
  onRename,
  onDelete,
}: Omit<FoundProps, 'search'> & { readonly conversation: Listed }): ReactNode {
  const { id, title, snippet } = conversation;
  const { failed } = useToast();
  const active = id === current;
  const name = title === '' ? text.chat.untitled : safeName(title);
  const save = (format: 'json' | 'markdown'): void => {
    exportConversation(id, format).catch((error: unknown) => failed(text.chat.exportFailed, error));
  };
  return (
    <li
      className={classes(
        'group relative flex min-w-0 items-start rounded-md',
        active
          ? 'bg-panel before:absolute before:inset-y-1.5 before:-left-2 before:w-[3px] before:rounded-r-sm before:bg-accent'
          : 'hover:bg-panel',
      )}
    >
      <Link
        href={`/chat/${id}`}
        aria-current={active ? 'page' : undefined}
        onClick={() => onChosen?.()}
        className={classes(
          'min-w-0 grow rounded-md px-2 py-1.5 text-sm',
          active ? 'font-semibold' : 'text-muted group-hover:text-ink',
        )}
      >
        <bdi className="block truncate">{name}</bdi>
        {snippet !== undefined && (
          <bdi className="line-clamp-2 break-words font-normal text-faint text-xs">{safeText(snippet)}</bdi>
        )}
      </Link>
      <span className="pt-0.5 pr-0.5 opacity-0 focus-within:opacity-100 group-hover:opacity-100 has-[[data-state=open]]:opacity-100 max-md:opacity-100">
        <Menu
          trigger={<IconButton size="small" label={text.chat.actionsOf(name)} icon={<Ellipsis />} />}
          groups={[
            [{ id: 'rename', label: text.chat.rename, icon: <Pencil />, onSelect: () => onRename(conversation) }],
            [
              { id: 'markdown', label: text.chat.exportMarkdown, icon: <FileDown />, onSelect: () => save('markdown') },
              { id: 'json', label: text.chat.exportJson, icon: <FileJson />, onSelect: () => save('json') },
            ],
            [
              {
                id: 'delete',
                label: text.chat.delete,
                icon: <Trash2 />,
                danger: true,
                onSelect: () => onDelete(conversation),
              },
            ],
          ]}
        />
      </span>
    </li>
  );
}
