// A long list of which only what is seen stands in the document. Rows may have different heights.
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowUp } from 'lucide-react';
import { type ReactNode, useEffect, useRef } from 'react';
import { Button } from './button.tsx';
import { classes } from './class-names.ts';
import { useReading } from './use-reading.ts';

export interface VirtualListProps<Item> {
  readonly label: string;
  readonly items: readonly Item[];
  readonly itemKey: (item: Item, index: number) => string;
  readonly row: (item: Item, index: number) => ReactNode;
  /** Height in pixels of a row that has not been measured. */
  readonly estimatePx: number;
  /** Stays at the end while one is there: for logs. */
  readonly follow?: boolean;
  /** For lists that grow at their top: a person reads rows now, or does so no more. Until then none should be put before them. */
  readonly onReading?: (reading: boolean) => void;
  /** What waits above meanwhile, such as `3 new`: a button that leads to the top, where the reading ends. */
  readonly waiting?: string | undefined;
  readonly className?: string;
}

/** Nearer to the end than this counts as there. */
const AT_END_PX = 24;

export function VirtualList<Item>({
  label,
  items,
  itemKey,
  row,
  estimatePx,
  follow = false,
  onReading,
  waiting,
  className,
}: VirtualListProps<Item>): ReactNode {
  const scroller = useRef<HTMLElement>(null);
  const atEnd = useRef(true);
  const lastTop = useRef(0);
  const { look, handlers } = useReading(scroller, onReading);
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => estimatePx,
    overscan: 12,
    // What grows at its end may lose its oldest rows: those that are read stay where they are.
    anchorTo: follow && !atEnd.current ? 'end' : 'start',
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : itemKey(item, index);
    },
  });
  useEffect(() => {
    if (follow && atEnd.current && items.length > 0) virtualizer.scrollToIndex(items.length - 1, { align: 'end' });
  }, [follow, items, virtualizer]);
  return (
    <section
      ref={scroller}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        const near = scrollHeight - scrollTop - clientHeight < AT_END_PX;
        // Rows that have come between a scroll to the end and this word of it don't mean that one has left.
        if (near || scrollTop < lastTop.current) atEnd.current = near;
        lastTop.current = scrollTop;
        look();
      }}
      {...handlers}
      className={classes('min-h-0 overflow-y-auto focus-visible:-outline-offset-2', className)}
    >
      {waiting !== undefined && (
        // Without a height of its own: it moves no row.
        <div className="sticky top-2 z-10 flex h-0 justify-center">
          <Button
            kind="primary"
            size="small"
            icon={<ArrowUp />}
            className="rounded-full shadow-md"
            onClick={() => {
              // The button goes: the focus stays with the list.
              scroller.current?.focus({ preventScroll: true });
              scroller.current?.scrollTo({ top: 0, behavior: 'instant' });
            }}
          >
            {waiting}
          </Button>
        </div>
      )}
      <ul className="relative w-full" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map(({ key, index, start }) => {
          const item = items[index];
          return item === undefined ? null : (
            <li
              key={key}
              data-index={index}
              ref={virtualizer.measureElement}
              className="absolute inset-x-0 top-0"
              style={{ transform: `translateY(${start}px)` }}
            >
              {row(item, index)}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
