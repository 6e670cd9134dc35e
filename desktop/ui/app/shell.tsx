// The frame around the views: navigation at the left, or at the lower edge of narrow screens; how the connection stands; the way to
// everything else.
import { CircleHelp, Ellipsis, LogOut, Monitor, Moon, Search, Sun } from 'lucide-react';
import { type ReactNode, useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { IconButton } from '../components/button.tsx';
import { classes } from '../components/class-names.ts';
import { Menu, type MenuItem } from '../components/menu.tsx';
import { Foreign } from '../components/node-name.tsx';
import { api } from '../data/client.ts';
import { useStatus } from '../data/queries.ts';
import { text } from '../text/en.ts';
import { bridge } from './bridge.ts';
import { ConnectionLine } from './connection-line.tsx';
import { Logo } from './logo.tsx';
import { isAt, NARROW_ITEMS, NAVIGATION, NAVIGATION_ITEMS, type NavigationItem } from './navigation.ts';
import { setThemeChoice, type ThemeChoice, useThemeChoice } from './theme.ts';

export interface ShellProps {
  readonly children: ReactNode;
  readonly onPalette: () => void;
  readonly onKeys: () => void;
}

export function Shell({ children, onPalette, onKeys }: ShellProps): ReactNode {
  const main = useRef<HTMLElement>(null);
  const [location] = useLocation();
  // Another view begins at its top.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address is why
  useEffect(() => {
    if (main.current !== null) main.current.scrollTop = 0;
  }, [location]);
  const at = NAVIGATION_ITEMS.find(({ path }) => isAt(path, location));
  return (
    <div className="flex h-full flex-col md:flex-row">
      <button
        type="button"
        onClick={() => main.current?.focus()}
        className="sr-only z-50 rounded-md bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        {text.app.skip}
      </button>
      {/* Which view it is now, for those who can't see it change. */}
      <p aria-live="polite" className="sr-only">
        {at === undefined ? '' : text.app.views[at.id]}
      </p>
      <Sidebar onPalette={onPalette} onKeys={onKeys} />
      <NarrowTop onPalette={onPalette} />
      <main
        ref={main}
        id="content"
        tabIndex={-1}
        className="relative min-h-0 min-w-0 grow overflow-y-auto outline-none"
      >
        {children}
      </main>
      <NarrowBar onKeys={onKeys} />
    </div>
  );
}

function Sidebar({ onPalette, onKeys }: { readonly onPalette: () => void; readonly onKeys: () => void }): ReactNode {
  const [location] = useLocation();
  return (
    <div className="flex w-52 shrink-0 flex-col border-line border-r bg-sunken max-md:hidden">
      <Brand />
      <div className="px-2 pb-2">
        <button
          type="button"
          onClick={onPalette}
          className="flex h-8 w-full items-center gap-2 rounded-md border border-line-strong bg-panel px-2 text-left text-faint text-sm hover:border-faint"
        >
          <Search aria-hidden className="size-4" />
          <span className="truncate">{text.app.palette.open}</span>
          <kbd className="ml-auto font-sans text-xs">{isApple() ? '⌘K' : 'Ctrl K'}</kbd>
        </button>
      </div>
      <nav aria-label={text.app.navigation} className="min-h-0 grow overflow-y-auto px-2 pb-2">
        {NAVIGATION.map((group) => (
          <ul key={group[0]?.id} className="border-line border-b py-2 first:pt-0 last:border-b-0">
            {group.map((item) => (
              <li key={item.id}>
                <SidebarLink item={item} active={isAt(item.path, location)} />
              </li>
            ))}
          </ul>
        ))}
      </nav>
      <footer className="flex items-center gap-1 border-line border-t px-2 py-1.5">
        <div className="min-w-0 grow">
          <ConnectionLine />
        </div>
        <MoreMenu onKeys={onKeys} />
      </footer>
    </div>
  );
}

/** The active view is where the weft thread crosses. */
function SidebarLink({ item, active }: { readonly item: NavigationItem; readonly active: boolean }): ReactNode {
  const { id, path, icon: Icon } = item;
  return (
    <Link
      href={path}
      aria-current={active ? 'page' : undefined}
      className={classes(
        'relative flex h-8 items-center gap-2.5 rounded-md px-2 text-sm',
        active
          ? 'bg-panel font-semibold text-ink before:absolute before:inset-y-1.5 before:-left-2 before:w-[3px] before:rounded-r-sm before:bg-accent'
          : 'text-muted hover:bg-panel hover:text-ink',
      )}
    >
      <Icon
        aria-hidden
        className={classes('size-4 shrink-0', active && 'text-accent')}
        strokeWidth={active ? 2.2 : 1.8}
      />
      {text.app.views[id]}
    </Link>
  );
}

function Brand(): ReactNode {
  const { data } = useStatus();
  return (
    <div className="flex h-14 shrink-0 items-center gap-2.5 px-4">
      <Logo className="size-6 shrink-0" />
      <div className="min-w-0 leading-tight">
        <p className="font-semibold text-sm tracking-tight">{text.app.name}</p>
        {data !== undefined && (
          <p className="truncate text-faint text-xs">
            <Foreign>{data.name}</Foreign>
          </p>
        )}
      </div>
    </div>
  );
}

function NarrowTop({ onPalette }: { readonly onPalette: () => void }): ReactNode {
  const { data } = useStatus();
  return (
    <header className="flex h-11 shrink-0 items-center gap-2 border-line border-b bg-sunken px-3 md:hidden">
      <Logo className="size-5 shrink-0" />
      <span className="min-w-0 truncate font-semibold text-sm">
        {data === undefined ? text.app.name : <Foreign>{data.name}</Foreign>}
      </span>
      <div className="ml-auto flex items-center gap-1">
        <ConnectionLine short />
        <IconButton label={text.app.palette.open} icon={<Search />} onClick={onPalette} />
      </div>
    </header>
  );
}

function NarrowBar({ onKeys }: { readonly onKeys: () => void }): ReactNode {
  const [location, navigate] = useLocation();
  const inBar = NAVIGATION_ITEMS.filter(({ id }) => NARROW_ITEMS.includes(id));
  const others = NAVIGATION_ITEMS.filter(({ id }) => !NARROW_ITEMS.includes(id));
  const inMore = others.some(({ path }) => isAt(path, location));
  const look =
    'relative flex h-13 min-w-0 flex-1 flex-col items-center justify-center gap-0.5 text-[11px] focus-visible:-outline-offset-2';
  const activeLook =
    'font-semibold text-ink [&_svg]:text-accent before:absolute before:inset-x-[30%] before:top-0 before:h-[3px] before:rounded-b-sm before:bg-accent';
  return (
    <nav aria-label={text.app.navigation} className="flex shrink-0 border-line border-t bg-sunken md:hidden">
      {inBar.map(({ id, path, icon: Icon }) => {
        const active = isAt(path, location);
        return (
          <Link
            key={id}
            href={path}
            aria-current={active ? 'page' : undefined}
            className={classes(look, active ? activeLook : 'text-muted')}
          >
            <Icon aria-hidden className="size-5" strokeWidth={1.8} />
            {text.app.views[id]}
          </Link>
        );
      })}
      <MoreMenu
        onKeys={onKeys}
        before={others.map(({ id, path, icon: Icon }) => ({
          id,
          label: text.app.views[id],
          icon: <Icon />,
          onSelect: () => navigate(path),
        }))}
        trigger={
          <button type="button" className={classes(look, inMore ? activeLook : 'text-muted')}>
            <Ellipsis aria-hidden className="size-5" strokeWidth={1.8} />
            {text.app.more}
          </button>
        }
      />
    </nav>
  );
}

const THEME_ICONS = { system: <Monitor />, light: <Sun />, dark: <Moon /> } as const;

function MoreMenu({
  onKeys,
  before = [],
  trigger,
}: {
  readonly onKeys: () => void;
  readonly before?: readonly MenuItem[];
  readonly trigger?: ReactNode;
}): ReactNode {
  const choice = useThemeChoice();
  const themes = (['system', 'light', 'dark'] as const satisfies readonly ThemeChoice[]).map((id) => ({
    id: `theme-${id}`,
    label: text.app.themes[id],
    icon: THEME_ICONS[id],
    onSelect: () => setThemeChoice(id),
    ...(id === choice ? { note: '●' } : {}),
  }));
  const rest: MenuItem[] = [{ id: 'keys', label: text.app.keys, icon: <CircleHelp />, onSelect: onKeys, note: '?' }];
  // The desktop app signs in by itself.
  if (bridge() === undefined) {
    rest.push({ id: 'sign-out', label: text.app.signOut, icon: <LogOut />, onSelect: () => void api.signOut() });
  }
  return (
    <Menu
      trigger={trigger ?? <IconButton label={text.app.more} icon={<Ellipsis />} />}
      groups={[before, themes, rest]}
    />
  );
}

const isApple = (): boolean => /Mac|iPhone|iPad/.test(navigator.userAgent);
