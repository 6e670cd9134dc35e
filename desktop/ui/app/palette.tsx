// The command palette: go to a view, a node or a model by a few letters of its name, or do something.
import { Command } from 'cmdk';
import { CircleHelp, Moon, Sun } from 'lucide-react';
import { Dialog } from 'radix-ui';
import type { ReactNode } from 'react';
import { useLocation } from 'wouter';
import { NodeName } from '../components/node-name.tsx';
import { useModels, usePeers, useStatus } from '../data/queries.ts';
import { text } from '../text/en.ts';
import { safeName } from '../text/format.ts';
import { NAVIGATION_ITEMS } from './navigation.ts';
import { setThemeChoice, useTheme } from './theme.ts';

/** Names beyond this many are reached by the views themselves. */
const LISTED_MAX = 100;

export function Palette({ onClose, onKeys }: { readonly onClose: () => void; readonly onKeys: () => void }): ReactNode {
  const [, navigate] = useLocation();
  const theme = useTheme();
  const { data: status } = useStatus();
  const { data: peers } = usePeers();
  const { data: models } = useModels();
  const go = (path: string) => (): void => {
    onClose();
    navigate(path);
  };
  const nodes = [...(status === undefined ? [] : [{ node: status.node, name: status.name }]), ...(peers?.peers ?? [])];
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <div aria-hidden className="fixed inset-0 z-40 animate-[appear_90ms_ease-out] bg-shade" />
        <Dialog.Content
          data-dialog
          aria-describedby={undefined}
          className="fixed inset-x-2 top-2 z-40 mx-auto max-w-xl animate-[appear_90ms_ease-out] overflow-hidden rounded-lg border border-line-strong bg-panel sm:top-[14dvh]"
        >
          <Dialog.Title className="sr-only">{text.app.palette.open}</Dialog.Title>
          <Command label={text.app.palette.open} loop>
            <Command.Input
              placeholder={text.app.palette.placeholder}
              className="h-12 w-full border-line border-b bg-transparent px-4 text-base outline-none placeholder:text-faint sm:text-sm"
            />
            <Command.List className="max-h-[60dvh] overflow-y-auto p-1.5">
              <Command.Empty className="px-3 py-6 text-center text-muted text-sm">
                {text.app.palette.none}
              </Command.Empty>
              <Group heading={text.app.palette.goTo}>
                {NAVIGATION_ITEMS.map(({ id, path, icon: Icon, key }) => (
                  <Item key={id} value={text.app.views[id]} onSelect={go(path)} note={`g ${key}`}>
                    <Icon aria-hidden className="size-4 text-muted" />
                    {text.app.views[id]}
                  </Item>
                ))}
              </Group>
              {nodes.length > 0 && (
                <Group heading={text.app.palette.nodes}>
                  {nodes.slice(0, LISTED_MAX).map(({ node, name }) => (
                    <Item key={node} value={`${safeName(name)} ${node}`} onSelect={go(`/nodes/${node}`)}>
                      <NodeName node={node} name={name} self={node === status?.node} />
                    </Item>
                  ))}
                </Group>
              )}
              {models !== undefined && models.models.length > 0 && (
                <Group heading={text.app.palette.models}>
                  {models.models.slice(0, LISTED_MAX).map(({ id }) => (
                    <Item key={id} value={`model ${id}`} onSelect={go(`/models/${id}`)}>
                      <bdi className="truncate">{safeName(id)}</bdi>
                    </Item>
                  ))}
                </Group>
              )}
              <Group heading={text.app.palette.actions}>
                <Item
                  value={text.app.themes.dark + text.app.themes.light + text.app.theme}
                  onSelect={() => {
                    setThemeChoice(theme === 'dark' ? 'light' : 'dark');
                    onClose();
                  }}
                >
                  {theme === 'dark' ? <Sun className="size-4 text-muted" /> : <Moon className="size-4 text-muted" />}
                  {text.app.theme}: {theme === 'dark' ? text.app.themes.light : text.app.themes.dark}
                </Item>
                <Item
                  value={text.app.keys}
                  onSelect={() => {
                    onClose();
                    onKeys();
                  }}
                  note="?"
                >
                  <CircleHelp aria-hidden className="size-4 text-muted" />
                  {text.app.keys}
                </Item>
              </Group>
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

const Group = ({ heading, children }: { readonly heading: string; readonly children: ReactNode }): ReactNode => (
  <Command.Group
    heading={heading}
    className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-faint [&_[cmdk-group-heading]]:text-xs"
  >
    {children}
  </Command.Group>
);

function Item({
  value,
  onSelect,
  note,
  children,
}: {
  readonly value: string;
  readonly onSelect: () => void;
  readonly note?: string;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex h-9 min-w-0 cursor-pointer items-center gap-2.5 rounded-md px-2.5 text-sm data-[selected=true]:bg-accent-soft"
    >
      {children}
      {note !== undefined && <kbd className="ml-auto shrink-0 font-sans text-faint text-xs">{note}</kbd>}
    </Command.Item>
  );
}
