// Tables: columns say how a row is shown. Narrow screens show the columns marked `main` and fold the others below them.
import type { ReactNode } from 'react';
import { classes } from './class-names.ts';

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  readonly cell: (row: Row) => ReactNode;
  /** @default 'start' */
  readonly align?: 'start' | 'end';
  /** Left out below 640 px. */
  readonly wide?: boolean;
  /** Takes what room there is, and cuts its text. */
  readonly grow?: boolean;
}

export interface TableProps<Row> {
  /** What the table tells, for those who can't see it. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  /** Makes rows open something; the first column should also hold a link or button for the keyboard. */
  readonly onOpen?: (row: Row) => void;
  readonly isSelected?: (row: Row) => boolean;
}

export function Table<Row>({ label, columns, rows, rowKey, onOpen, isSelected }: TableProps<Row>): ReactNode {
  return (
    <div className="w-full overflow-x-auto">
      <table aria-label={label} className="w-full border-collapse text-left text-sm">
        <thead>
          <tr className="border-line border-b">
            {columns.map(({ key, title, align, wide, grow }) => (
              <th
                key={key}
                scope="col"
                className={classes(
                  'kicker whitespace-nowrap px-3 py-2 first:pl-4 last:pr-4',
                  align === 'end' && 'text-right',
                  wide && 'max-sm:hidden',
                  grow && 'w-full',
                )}
              >
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              onClick={onOpen === undefined ? undefined : () => onOpen(row)}
              aria-selected={isSelected?.(row) || undefined}
              className={classes(
                'border-line border-b last:border-b-0',
                onOpen !== undefined && 'cursor-pointer hover:bg-sunken',
                isSelected?.(row) && 'bg-accent-soft',
              )}
            >
              {columns.map(({ key, cell, align, wide, grow }) => (
                <td
                  key={key}
                  className={classes(
                    'h-10 px-3 py-1.5 first:pl-4 last:pr-4',
                    align === 'end' && 'whitespace-nowrap text-right',
                    wide && 'max-sm:hidden',
                    grow ? 'w-full max-w-0' : 'whitespace-nowrap',
                  )}
                >
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
